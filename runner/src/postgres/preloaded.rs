//! Which libraries of `shared_preload_libraries` an upgrade needs. A restore creates the functions of extensions, for which
//! the server loads their libraries, and some of these refuse to be loaded later than at the start.
//!
//! A library that is preloaded registers its background workers, and binary upgrade mode (`-b`) does not prevent that:
//! `RegisterBackgroundWorker` (src/backend/postmaster/bgworker.c, 13 to 18) does not check for it, and only the launcher of
//! subscriptions does so itself, since 17 (`ApplyLauncherRegister`, src/backend/replication/logical/launcher.c). So the
//! private servers run with `max_worker_processes=0`: each registration ends with a line in the log.

use std::collections::{BTreeMap, BTreeSet};

use pgops_api::postgresversion::Preload::{self, Data, Never, Restore};

/// What the target's catalog entry says of libraries. It takes precedence over what is known here.
pub type Overrides = BTreeMap<String, Preload>;

/// What is known of libraries, with what their `_PG_init` does when it is not called at the start of the server.
const LIBRARIES: &[(&str, Preload)] = &[
    // contrib/auto_explain/auto_explain.c: loads in any session.
    ("auto_explain", Never),
    // https://github.com/citusdata/citus src/backend/distributed/shared_library_init.c: "Citus can only be loaded via
    // shared_preload_libraries"; up to 11 its columnar tables are in the same library.
    ("citus", Data),
    // https://github.com/orioledb/orioledb src/orioledb.c: a table access method with files of its own.
    ("orioledb", Data),
    // https://github.com/citusdata/pg_cron src/pg_cron.c: "pg_cron can only be loaded via shared_preload_libraries"; a
    // no-op in binary upgrade mode in newer versions.
    ("pg_cron", Restore),
    // https://github.com/supabase/pg_net src/worker.c.
    ("pg_net", Restore),
    // https://github.com/pgpartman/pg_partman src/pg_partman_bgw.c: a background worker without functions.
    ("pg_partman_bgw", Never),
    // contrib/pg_prewarm/autoprewarm.c: loads in any session; its worker writes autoprewarm.blocks.
    ("pg_prewarm", Never),
    // https://github.com/cybertec-postgresql/pg_squeeze pg_squeeze.c: "pg_squeeze can only be loaded via
    // shared_preload_libraries".
    ("pg_squeeze", Restore),
    // https://github.com/powa-team/pg_stat_kcache pg_stat_kcache.c: "This module can only be loaded via
    // shared_preload_libraries".
    ("pg_stat_kcache", Restore),
    // contrib/pg_stat_statements/pg_stat_statements.c: loads in any session, without effect; preloaded, it stores the
    // statements of the run when the server stops.
    ("pg_stat_statements", Never),
    // https://github.com/percona/pg_tde: the table access method of encrypted tables.
    ("pg_tde", Data),
    // https://github.com/postgrespro/pg_wait_sampling pg_wait_sampling.c: loads in any session, without effect.
    ("pg_wait_sampling", Never),
    // https://github.com/pgaudit/pgaudit pgaudit.c: "pgaudit must be loaded via shared_preload_libraries".
    ("pgaudit", Restore),
    // https://github.com/2ndQuadrant/pglogical pglogical.c: "pglogical is not in shared_preload_libraries".
    ("pglogical", Restore),
    // https://github.com/pgEdge/spock src/spock.c, which comes from pglogical.
    ("spock", Restore),
    // https://github.com/timescale/timescaledb src/loader/loader.c: the library of each version refuses to run without
    // this loader; compressed tables have an access method in some versions.
    ("timescaledb", Data),
];

/// Of the libraries of `configured`, those that the target's servers preload for the run, in the same order. `used` are
/// the libraries of functions, as the system catalog names them: one that is not known here is preloaded if functions use
/// it, as in the database itself.
#[must_use]
pub fn for_restore(configured: &[String], used: &[&str], overrides: &Overrides) -> Vec<String> {
    let is_needed = |name: &str| match need(name, overrides) {
        Some(need) => need != Never,
        None => used.iter().any(|library| plain(library) == Some(name)),
    };
    select(configured, is_needed)
}

/// Providers of security labels whose library has another name.
const LABEL_LIBRARIES: &[(&str, &str)] = &[
    // src/test/modules/dummy_seclabel/dummy_seclabel.c: register_label_provider("dummy", …).
    ("dummy", "dummy_seclabel"),
    // contrib/sepgsql/label.h: SEPGSQL_LABEL_TAG.
    ("selinux", "sepgsql"),
];

/// Of the libraries of `configured`, for the server or for sessions, those that provide the security labels of these providers: a
/// restore sets labels, which the server refuses unless their provider is loaded.
#[must_use]
pub fn for_labels(configured: &[String], providers: &BTreeSet<String>, overrides: &Overrides) -> Vec<String> {
    let library = |provider: &String| {
        let known = LABEL_LIBRARIES.iter().find(|(it, _)| it == provider);
        known.map_or_else(|| provider.clone(), |(_, library)| (*library).to_owned())
    };
    let needed: BTreeSet<_> = providers.iter().map(library).collect();
    select(configured, |name| needed.contains(name) && overrides.get(name) != Some(&Never))
}

/// Of the libraries of `configured`, those without which the old version's servers cannot open their data.
#[must_use]
pub fn for_data(configured: &[String], overrides: &Overrides) -> Vec<String> {
    select(configured, |name| need(name, overrides) == Some(Data))
}

fn select(configured: &[String], is_needed: impl Fn(&str) -> bool) -> Vec<String> {
    configured
        .iter()
        .filter_map(|name| plain(name))
        .filter(|name| is_needed(name))
        .map(ToOwned::to_owned)
        .collect()
}

fn need(name: &str, overrides: &Overrides) -> Option<Preload> {
    let built_in = || LIBRARIES.iter().find(|(library, _)| *library == name).map(|(_, need)| *need);
    overrides.get(name).copied().or_else(built_in)
}

/// The name of a library in the image's own directory of libraries. One in any other place is not loaded where the data
/// is: it may be a file of a user.
fn plain(library: &str) -> Option<&str> {
    let name = library.strip_prefix("$libdir/").unwrap_or(library);
    let name = name.strip_suffix(".so").unwrap_or(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn preloaded_for_a_restore_is_what_is_configured_and_needed_in_the_same_order() {
        let configured =
            names(&["pg_stat_statements", "$libdir/pgaudit", "timescaledb", "auto_explain", "ours"]);
        let used = ["$libdir/pg_stat_statements", "$libdir/pgaudit", "$libdir/pglogical"];
        let restore = |used: &[&str]| for_restore(&configured, used, &Overrides::new());
        assert_eq!(restore(&used), ["pgaudit", "timescaledb"]);
        assert_eq!(restore(&["$libdir/ours.so"]), ["pgaudit", "timescaledb", "ours"]);
    }

    #[test]
    fn preloaded_in_the_old_server_is_only_what_its_data_needs() {
        let configured = names(&["citus", "pgaudit", "pg_cron", "pglogical", "ours", "timescaledb"]);
        assert_eq!(for_data(&configured, &Overrides::new()), ["citus", "timescaledb"]);
    }

    #[test]
    fn preloaded_for_labels_is_what_provides_them() {
        let configured = names(&["auto_explain", "anon", "$libdir/sepgsql.so", "/var/pv/own"]);
        let providers = ["anon", "selinux", "own"].map(ToOwned::to_owned).into();
        assert_eq!(for_labels(&configured, &providers, &Overrides::new()), ["anon", "sepgsql"]);
        assert_eq!(for_labels(&configured, &BTreeSet::new(), &Overrides::new()), [""; 0]);
        let overrides = [("anon".to_owned(), Never)].into();
        assert_eq!(for_labels(&configured, &providers, &overrides), ["sepgsql"]);
    }

    #[test]
    fn preloaded_is_what_a_catalog_entry_says() {
        let configured = names(&["citus", "pgaudit", "ours", "absent/elsewhere"]);
        let overrides = [("citus", Never), ("ours", Data), ("theirs", Data)];
        let overrides = overrides.map(|(name, need)| (name.to_owned(), need)).into();
        assert_eq!(for_data(&configured, &overrides), ["ours"], "only what the database preloads");
        assert_eq!(for_restore(&configured, &["$libdir/citus"], &overrides), ["pgaudit", "ours"]);
    }

    #[test]
    fn preloaded_libraries_are_those_of_the_image() {
        for elsewhere in ["/var/pv/pgaudit", "$libdir/../pgaudit", "plugins/pgaudit", "", "pg audit", "a'b"] {
            assert_eq!(plain(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(plain("$libdir/postgis-3.so"), Some("postgis-3"));
    }

    #[test]
    fn preloaded_libraries_are_sorted_and_known_once() {
        assert!(LIBRARIES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
