//! What the database uses and the target image may lack: libraries, settings, column options.

use std::collections::BTreeSet;
use std::path::Path;

use pgops_api::layout::VOLUME_ROOT;
use pgops_api::plan::Step;

use crate::postgres::client::inventory::Inventory;
use crate::postgres::program::pg_dump::COLUMN_OPTION;
use crate::postgres::program::programs::Programs;
use crate::upgrade::{Finding, StepError, log_step};

/// Column options that the target does not know fail the restore, which `pg_upgrade --check` never tries. Returns a
/// finding for each one that a user has set, and whether the dump must leave out the one that some servers set by
/// themselves.
pub async fn unknown_column_options(
    inventory: &Inventory,
    programs: &Programs,
) -> Result<(Vec<Finding>, bool), StepError> {
    let options: Vec<_> = inventory.column_options.iter().cloned().collect();
    let known = programs.agent.knows_options(&programs.installation, options.clone()).await?;
    let unknown = options.into_iter().zip(known).filter(|(_, known)| !known).map(|(option, _)| option);
    let (ours, users): (Vec<_>, Vec<_>) = unknown.partition(|option| *option == COLUMN_OPTION);
    if !ours.is_empty() {
        log_step(
            Step::Preflight,
            format!("the target does not know the column option {COLUMN_OPTION}: it is not carried over"),
        );
    }
    let finding = |option: &String| {
        Finding::new(
            "column-option",
            format!("ALTER TABLE … ALTER COLUMN … SET ({option}) is unknown to the target version: RESET it"),
        )
    };
    Ok((users.iter().map(finding).collect(), !ours.is_empty()))
}

/// Whether a library is a file of the volume, which every image sees.
#[must_use]
pub fn is_on_volume(library: &str) -> bool {
    Path::new(library).starts_with(VOLUME_ROOT)
}

/// The libraries of the inventory that the target does not have. One on the volume is as good as missing: a server loads only what
/// was built for its own major version (`PG_MODULE_MAGIC`), and where the schema is rehearsed there is no volume.
pub async fn missing_libraries(
    inventory: &Inventory,
    programs: &Programs,
) -> Result<BTreeSet<String>, StepError> {
    let libraries: BTreeSet<_> = inventory.libraries.iter().map(|(library, _)| library.clone()).collect();
    let libraries: Vec<_> = libraries.into_iter().collect();
    let found = programs.agent.has_libraries(&programs.installation, libraries.clone()).await?;
    let missing = libraries.into_iter().zip(found).filter(|(library, found)| !found || is_on_volume(library));
    Ok(missing.map(|(library, _)| library).collect())
}

/// Settings that a database or role can have and `--describe-config` leaves out (`GUC_NO_SHOW_ALL`, `GUC_NOT_IN_SAMPLE`,
/// `GUC_DISALLOW_IN_FILE`). All targets know most of them; what one does not know fails in the rehearsal.
const UNLISTED: [&str; 20] = [
    "allow_in_place_tablespaces",
    "allow_system_table_mods",
    "application_name",
    "backtrace_functions",
    "debug_discard_caches",
    "debug_logical_replication_streaming",
    "debug_parallel_query",
    "ignore_checksum_failure",
    "jit_dump_bitcode",
    "jit_expressions",
    "jit_tuple_deforming",
    "restrict_nonsystem_relation_kind",
    "role",
    "seed",
    "session_authorization",
    "trace_notify",
    "trace_sort",
    "transaction_read_only",
    "wal_consistency_checking",
    "zero_damaged_pages",
];

/// What the functions and the stored settings of the inventory need, and the target does not have.
/// `known_settings` is the output of the target's `postgres --describe-config`.
pub fn findings(inventory: &Inventory, known_settings: &str, missing: &BTreeSet<String>) -> Vec<Finding> {
    let missing = inventory.libraries.iter().filter(|(library, _)| missing.contains(library));
    let mut findings: Vec<_> = missing
        .map(|(library, database)| {
            let needed = format!("functions in database \"{database}\" need {library}");
            let text = if is_on_volume(library) {
                format!(
                    "{needed}, which is a file of the volume and can be loaded by one major version only: use an image that has \
                     the library in its own directory, and name it there (CREATE OR REPLACE FUNCTION … AS '$libdir/…'), or drop \
                     the functions"
                )
            } else {
                format!(
                    "{needed}, which the target image does not have: use an image that has it, or drop the extension"
                )
            };
            Finding::new("missing-library", text)
        })
        .collect();
    let known: BTreeSet<_> = known_settings.lines().filter_map(|line| line.split('\t').next()).collect();
    // A name with a dot belongs to an extension, and is accepted as a placeholder.
    let unknown = inventory
        .stored_settings
        .iter()
        .filter(|it| !it.contains('.') && !known.contains(it.as_str()) && !UNLISTED.contains(&it.as_str()));
    findings.extend(unknown.map(|setting| {
        Finding::new(
            "removed-setting",
            format!(
                "ALTER ROLE or ALTER DATABASE stores the setting \"{setting}\", which the target version does not \
                 know: RESET it (see pg_db_role_setting)"
            ),
        )
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::client::serving_settings::ServingSettings;
    use crate::postgres::cluster_shape::{ClusterShape, LocaleProvider};

    fn empty_inventory() -> Inventory {
        Inventory {
            version: "13.16".parse().unwrap(),
            shape: ClusterShape {
                install_user: "postgres".into(),
                encoding: "UTF8".into(),
                collate: "C".into(),
                ctype: "C".into(),
                lc_others: ["C", "C", "C", "C"].map(Into::into),
                provider: LocaleProvider::Libc,
                wal_segment_bytes: 16 << 20,
                checksums: true,
            },
            databases: vec!["postgres".into()],
            unreachable: vec![],
            libraries: BTreeSet::new(),
            extensions: BTreeSet::new(),
            stored_settings: BTreeSet::new(),
            stored_libraries: vec![],
            label_providers: BTreeSet::new(),
            settings_for_all: vec![],
            subscriptions: 0,
            serving: ServingSettings::default(),
            column_options: BTreeSet::new(),
            relations: 0,
            largest_database: 0,
            files: 0,
        }
    }

    #[test]
    fn ordinary_database_has_no_findings() {
        let inventory = Inventory {
            libraries: [("$libdir/hstore".to_owned(), "shop".to_owned())].into(),
            stored_settings: ["work_mem", "app.tenant", "role"].map(ToOwned::to_owned).into(),
            ..empty_inventory()
        };
        assert_eq!(findings(&inventory, "work_mem\tINTEGER\n", &BTreeSet::new()), []);
    }

    #[test]
    fn library_on_the_volume_is_told_from_one_that_is_missing() {
        let library = "/var/pv/lib/my.so";
        let inventory =
            Inventory { libraries: [(library.to_owned(), "shop".to_owned())].into(), ..empty_inventory() };
        let found = findings(&inventory, "", &[library.to_owned()].into());
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(found.blocks() && found.text.contains("which is a file of the volume"), "{found}");
        assert!(!is_on_volume("$libdir/hstore") && !is_on_volume("/var/pvc/my.so"));
    }

    #[test]
    fn everything_that_is_missing_is_found_at_once_and_named() {
        let inventory = Inventory {
            libraries: [("$libdir/postgis-3".to_owned(), "geo".to_owned())].into(),
            stored_settings: ["old_snapshot_threshold".to_owned()].into(),
            ..empty_inventory()
        };
        let missing = ["$libdir/postgis-3".to_owned()].into();
        let text: Vec<_> = findings(&inventory, "", &missing).iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        for expected in
            ["[missing-library]", "\"geo\"", "postgis-3", "[removed-setting]", "old_snapshot_threshold"]
        {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
    }
}
