//! `Preflight`: what would fail later fails here, while the database serves and is not paused.

use std::collections::BTreeSet;

use pgops_api::plan::{Step, TransferMode, UpgradeKind};
use pgops_api::postgres::StorageType;
use pgops_api::{Postgres, names};

use super::world::say;
use super::{Facts, Finding, StepError, Upgrade};
use crate::cluster::PodState;
use crate::postgres::command::Program;
use crate::postgres::installation::Installation;
use crate::postgres::server::{Inventory, inventory, version};
use crate::postgres::volume::Volume;
use crate::worker::dump;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    check_objects(upgrade).await?;
    let PodState::Ready { ip } = upgrade.cluster.pod_state(&upgrade.plan.from.image).await? else {
        return Err(StepError::Unexpected(format!(
            "pod {} does not answer with image {}; see \"kubectl -n {} describe pod {}\"",
            names::pod(&upgrade.plan.database, 0),
            upgrade.plan.from.image,
            upgrade.plan.namespace,
            names::pod(&upgrade.plan.database, 0),
        )));
    };
    let client = upgrade.superuser.connect(&ip, "postgres").await?;
    let (planned, live) = (upgrade.plan.from.pg_version()?, version(&client).await?);
    if live != planned {
        return Err(StepError::Unexpected(format!(
            "the server says version {live}, but PostgresVersion {} says {planned}: correct the catalog or the image",
            upgrade.plan.from.name
        )));
    }
    super::rebuild_indexes::remember(upgrade, &ip).await;
    match upgrade.kind {
        UpgradeKind::Minor => {
            let target = upgrade.plan.to.pg_version()?;
            upgrade.new_installation()?.prove(&["postgres"], target)?;
            say(Step::Preflight, format!("image runs PostgreSQL {target}"));
            Ok(())
        }
        UpgradeKind::Major => major(upgrade, &ip).await,
    }
}

/// The objects must still be what the plan was made from.
async fn check_objects(upgrade: &Upgrade) -> Result<(), StepError> {
    let (plan, database) = (&upgrade.plan, upgrade.cluster.database().await?);
    let unexpected = |text: String| Err(StepError::Unexpected(text));
    if database.metadata.deletion_timestamp.is_some() {
        return unexpected(format!("database {} is being deleted", plan.database));
    }
    if database.spec.version != plan.from.name {
        return unexpected(format!(
            "database {} has spec.version {}, but the request was admitted for {}: apply a new request",
            plan.database, database.spec.version, plan.from.name
        ));
    }
    if upgrade.kind == UpgradeKind::Major && ephemeral(&database) {
        return unexpected(format!(
            "database {} has no durable storage: its data would not survive",
            plan.database
        ));
    }
    let image = upgrade.cluster.image().await?;
    if image != plan.from.image {
        return unexpected(format!(
            "StatefulSet {} has image {image}, but the request was admitted for {}: apply a new request",
            plan.database, plan.from.image
        ));
    }
    Ok(())
}

fn ephemeral(database: &Postgres) -> bool {
    database.spec.storage_type == Some(StorageType::Ephemeral)
}

async fn major(upgrade: &mut Upgrade, ip: &str) -> Result<(), StepError> {
    let step = Step::Preflight;
    let volume = upgrade.volume.clone();
    volume
        .make_work()
        .map_err(StepError::volume(format!("make the work directory {}", volume.work().display())))?;
    let inventory = inventory(&upgrade.superuser, ip).await?;
    let installation = upgrade.new_installation()?;
    let known = Program::new(installation.program("postgres")).arg("--describe-config").output().await?;

    let mut findings =
        findings(&inventory, upgrade.old_major, &known, |library| has_library(&installation, library));
    findings.extend(volume_findings(upgrade)?);
    let (bytes, free) = space(&volume, upgrade.old_major)?;
    let mode = match choose_mode(upgrade.plan.transfer_mode, volume.can_reflink(), bytes, free) {
        Ok(mode) => mode,
        Err(finding) => {
            findings.push(finding);
            TransferMode::Link
        }
    };
    let (unknown, drop_column_option) = unknown_column_options(&inventory, &installation)?;
    findings.extend(unknown);
    if !findings.is_empty() {
        return Err(StepError::Findings(findings));
    }
    say(
        step,
        format!(
            "{} databases with {} relations; mode {}: {} in use, {} free",
            inventory.databases.len(),
            inventory.relations,
            mode.name(),
            mebibytes(bytes),
            mebibytes(free)
        ),
    );
    let facts = Facts {
        shape: inventory.shape,
        mode,
        databases: inventory.databases,
        settings_for_all: inventory.settings_for_all,
        drop_column_option,
        relations: inventory.relations,
        largest_database: inventory.largest_database,
        bytes,
    };
    facts.store(volume.work()).map_err(StepError::volume("keep the preflight's facts"))?;
    upgrade.facts = Some(facts);
    Ok(())
}

fn space(volume: &Volume, major: u32) -> Result<(u64, u64), StepError> {
    let bytes = volume.size(major).map_err(StepError::volume("measure the data directory"))?;
    let free = volume.free().map_err(StepError::volume("measure the free space of the volume"))?;
    Ok((bytes, free))
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / (1024 * 1024))
}

/// A new cluster without user data, with its first WAL segments.
const NEW_CLUSTER_BYTES: u64 = 256 * 1024 * 1024;
/// Up to here a copy takes seconds, and keeps the old data whole.
const SMALL_BYTES: u64 = 1024 * 1024 * 1024;

/// The mode asked for, if it can be; else the safest that is quick.
fn choose_mode(
    asked: Option<TransferMode>,
    reflink: bool,
    bytes: u64,
    free: u64,
) -> Result<TransferMode, Finding> {
    let needed = |mode| NEW_CLUSTER_BYTES + if mode == TransferMode::Copy { bytes + bytes / 10 } else { 0 };
    let mode = asked.unwrap_or(match () {
        () if reflink => TransferMode::Clone,
        () if bytes <= SMALL_BYTES && free >= needed(TransferMode::Copy) => TransferMode::Copy,
        () => TransferMode::Link,
    });
    if mode == TransferMode::Clone && !reflink {
        return Err(Finding::new(
            "transfer-mode",
            "pgops.dev/transfer-mode: clone needs a volume whose files can share blocks (XFS with reflink, Btrfs); \
             this one cannot: use copy or link",
        ));
    }
    if free < needed(mode) {
        let (needed, free) = (mebibytes(needed(mode)), mebibytes(free));
        let remedy = if mode == TransferMode::Copy { ", or set pgops.dev/transfer-mode: link" } else { "" };
        let text =
            format!("mode {} needs {needed} on the volume, {free} are free: enlarge it{remedy}", mode.name());
        return Err(Finding::new("free-space", text));
    }
    Ok(mode)
}

/// The volume must have the old data where it is expected, and room for the new.
fn volume_findings(upgrade: &Upgrade) -> Result<Vec<Finding>, StepError> {
    let (volume, mut findings) = (&upgrade.volume, Vec::new());
    let active = volume.active().map_err(StepError::volume("read which version serves"))?;
    if active != Some(upgrade.old_major) {
        findings.push(Finding::new(
            "volume-layout",
            format!(
                "the volume says that {} serves, not {}: was it made by another operator?",
                active.map_or("no version".to_owned(), |major| format!("version {major}")),
                upgrade.old_major
            ),
        ));
    }
    let all = volume.tablespaces(upgrade.old_major).map_err(StepError::volume("list the tablespaces"))?;
    let unseen: Vec<_> =
        all.iter().filter(|path| !path.is_dir()).map(|path| path.display().to_string()).collect();
    if !unseen.is_empty() {
        findings.push(Finding::new(
            "tablespace-not-mounted",
            format!("are not on the database's volume; move their tables to another: {}", unseen.join(", ")),
        ));
    }
    let within =
        volume.tablespaces_within(upgrade.old_major).map_err(StepError::volume("list the tablespaces"))?;
    if !within.is_empty() {
        let paths: Vec<_> = within.iter().map(|path| path.display().to_string()).collect();
        findings.push(Finding::new(
            "tablespace-within-data",
            format!(
                "would go with the old data; move them to another directory of the volume: {}",
                paths.join(", ")
            ),
        ));
    }
    let new = volume.pgdata(upgrade.new_major);
    if new.symlink_metadata().is_ok() && !volume.is(crate::postgres::volume::Marker::OwnsNew) {
        findings.push(Finding::new(
            "directory-in-the-way",
            format!(
                "{} is there already and is not this upgrade's: move it away or remove it",
                new.display()
            ),
        ));
    }
    Ok(findings)
}

fn has_library(installation: &Installation, library: &str) -> bool {
    let name = library.strip_prefix("$libdir/").unwrap_or(library);
    let name = name.strip_suffix(".so").unwrap_or(name);
    if name.starts_with('/') {
        return std::path::Path::new(library).exists();
    }
    installation.pkglibdir.join(format!("{name}.so")).exists()
}

/// Options of columns that the target does not know fail the restore, which `pg_upgrade --check` never
/// tries. Gives a finding for each that is a user's, and whether the dump must leave out the one that
/// some servers set by themselves.
fn unknown_column_options(
    inventory: &Inventory,
    installation: &Installation,
) -> Result<(Vec<Finding>, bool), StepError> {
    let program = installation.program("postgres");
    let server = std::fs::read(&program).map_err(StepError::volume(format!("read {}", program.display())))?;
    let knows = |option: &str| memchr::memmem::find(&server, format!("\0{option}\0").as_bytes()).is_some();
    let unknown: Vec<_> = inventory.column_options.iter().filter(|option| !knows(option)).collect();
    let (ours, users): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|option| *option == dump::OPTION);
    if !ours.is_empty() {
        say(
            Step::Preflight,
            format!("the target does not know the column option {}: it stays behind", dump::OPTION),
        );
    }
    let finding = |option: &String| {
        Finding::new(
            "column-option",
            format!("ALTER TABLE … ALTER COLUMN … SET ({option}) is unknown to the target version: RESET it"),
        )
    };
    Ok((users.into_iter().map(finding).collect(), !ours.is_empty()))
}

/// What of the inventory would make `pg_upgrade` fail, or lose something silently.
fn findings(
    inventory: &Inventory,
    old_major: u32,
    known_settings: &str,
    has_library: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !inventory.prepared.is_empty() {
        findings.push(Finding::new(
            "prepared-transaction",
            format!("COMMIT PREPARED or ROLLBACK PREPARED first: {}", inventory.prepared.join(", ")),
        ));
    }
    if old_major < 17 && !inventory.logical_slots.is_empty() {
        findings.push(Finding::new(
            "logical-slot",
            format!(
                "logical replication slots do not survive an upgrade from {old_major}; drop them and make them \
                 again afterwards: {}",
                inventory.logical_slots.join(", ")
            ),
        ));
    }
    if !inventory.closed_databases.is_empty() {
        findings.push(Finding::new(
            "closed-database",
            format!(
                "pg_upgrade must connect to every database; ALTER DATABASE … ALLOW_CONNECTIONS true: {}",
                inventory.closed_databases.join(", ")
            ),
        ));
    }
    let missing: BTreeSet<_> =
        inventory.libraries.iter().filter(|(library, _)| !has_library(library)).collect();
    for (library, database) in missing {
        findings.push(Finding::new(
            "missing-library",
            format!(
                "functions in database \"{database}\" need {library}, which the target image does not have: \
                 use an image that has it, or drop the extension"
            ),
        ));
    }
    let known: BTreeSet<_> = known_settings.lines().filter_map(|line| line.split('\t').next()).collect();
    for setting in &inventory.stored_settings {
        // A name with a dot belongs to an extension, and is accepted as a placeholder.
        if !setting.contains('.') && !known.contains(setting.as_str()) {
            findings.push(Finding::new(
                "removed-setting",
                format!(
                    "ALTER ROLE or ALTER DATABASE keeps the setting \"{setting}\", which the target version does not \
                     know: RESET it (see pg_db_role_setting)"
                ),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::initdb::{ClusterShape, LocaleProvider};
    use rstest::rstest;

    const GIB: u64 = 1024 * 1024 * 1024;

    #[rstest]
    #[case::reflink_is_best(None, true, 100 * GIB, GIB, TransferMode::Clone)]
    #[case::small_data_is_copied(None, false, GIB / 2, 10 * GIB, TransferMode::Copy)]
    #[case::large_data_is_linked(None, false, 100 * GIB, 500 * GIB, TransferMode::Link)]
    #[case::little_space_is_linked(None, false, GIB / 2, GIB / 2, TransferMode::Link)]
    #[case::the_users_word_counts(Some(TransferMode::Copy), true, 100 * GIB, 500 * GIB, TransferMode::Copy)]
    fn the_mode_fits_the_volume(
        #[case] asked: Option<TransferMode>,
        #[case] reflink: bool,
        #[case] bytes: u64,
        #[case] free: u64,
        #[case] expected: TransferMode,
    ) {
        assert_eq!(choose_mode(asked, reflink, bytes, free), Ok(expected));
    }

    #[rstest]
    #[case::no_reflink(Some(TransferMode::Clone), "transfer-mode")]
    #[case::no_space(Some(TransferMode::Copy), "free-space")]
    fn a_mode_that_cannot_be_is_a_finding(#[case] asked: Option<TransferMode>, #[case] id: &str) {
        assert_eq!(choose_mode(asked, false, 10 * GIB, 5 * GIB).unwrap_err().id, id);
    }

    fn quiet() -> Inventory {
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
            closed_databases: vec![],
            prepared: vec![],
            logical_slots: vec![],
            libraries: BTreeSet::new(),
            stored_settings: BTreeSet::new(),
            settings_for_all: vec![],
            column_options: BTreeSet::new(),
            relations: 0,
            largest_database: 0,
        }
    }

    #[test]
    fn an_ordinary_database_has_no_findings() {
        let inventory = Inventory {
            libraries: [("$libdir/hstore".to_owned(), "shop".to_owned())].into(),
            stored_settings: ["work_mem".to_owned(), "app.tenant".to_owned()].into(),
            ..quiet()
        };
        assert_eq!(findings(&inventory, 13, "work_mem\tINTEGER\n", |_| true), []);
    }

    #[test]
    fn everything_in_the_way_is_found_at_once_and_named() {
        let inventory = Inventory {
            prepared: vec!["tx_81 (by billing in shop)".into()],
            logical_slots: vec!["feed (pgoutput)".into()],
            closed_databases: vec!["old".into()],
            libraries: [("$libdir/postgis-3".to_owned(), "geo".to_owned())].into(),
            stored_settings: ["old_snapshot_threshold".to_owned()].into(),
            ..quiet()
        };
        let text: Vec<_> = findings(&inventory, 13, "", |_| false).iter().map(ToString::to_string).collect();
        let text = text.join("\n");
        for expected in [
            "[prepared-transaction]",
            "tx_81",
            "[logical-slot]",
            "feed",
            "[closed-database]",
            "old",
            "[missing-library]",
            "\"geo\"",
            "postgis-3",
            "[removed-setting]",
            "old_snapshot_threshold",
        ] {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
    }

    #[test]
    fn logical_slots_survive_from_17_on() {
        let inventory = Inventory { logical_slots: vec!["feed".into()], ..quiet() };
        assert_eq!(findings(&inventory, 17, "", |_| true), []);
    }
}
