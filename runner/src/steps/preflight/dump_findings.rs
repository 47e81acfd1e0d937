//! Findings about databases that could not be dumped, or not created.

use crate::postgres::program::reported_error::ReportedError;
use crate::upgrade::Finding;

/// Stands for the roles where a finding names a database.
pub const ROLES: &str = "(roles of the server)";

/// Where a dump or a restore has failed, for a message.
pub fn place(database: &str) -> String {
    if database == ROLES {
        "roles of the server, and settings that are stored for them".to_owned()
    } else {
        format!("database \"{database}\"")
    }
}

/// A dump ends at its first error.
pub fn not_dumped(database: &str, refusal: &ReportedError) -> Finding {
    let (id, remedy) = if refusal.is_lock_timeout() {
        ("schema-locked", "another session holds a lock on a table: apply a new request when it has ended")
    } else if refusal.is_server_full() {
        (
            "server-full",
            "clients use all connections but those that are reserved, and the preflight needs up to six for superusers: apply a new \
             request when fewer are in use, or raise superuser_reserved_connections or max_connections",
        )
    } else {
        (
            "schema-dump",
            "the definition cannot be dumped, and pg_upgrade could not dump it either: fix or drop it; it is the first in \
             its database, and there may be more",
        )
    };
    Finding::new(id, format!("{}: {refusal}: {remedy}", place(database)))
}

/// The target image lacks a locale that a database has.
pub fn missing_locale(database: &str, refusal: &ReportedError) -> Finding {
    let remedy = "the target image lacks a locale: use one that has it";
    Finding::new("locale", format!("database \"{database}\": {refusal}: {remedy}"))
}

pub fn too_many_tables(database: &str) -> Finding {
    Finding::note(
        "schema-not-rehearsed",
        format!(
            "dumping the schema of database \"{database}\" would use most of the server's lock table: raise \
             max_locks_per_transaction to have it rehearsed"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: &str) -> ReportedError {
        ReportedError { message: error.into(), statement: Some("LOCK TABLE t".into()) }
    }

    #[rstest::rstest]
    #[case::lock("canceling statement due to lock timeout", "schema-locked")]
    #[case::full("FATAL:  sorry, too many clients already", "server-full")]
    #[case::dump("cache lookup failed", "schema-dump")]
    fn kinds_of_refusal_have_their_own_findings(#[case] error: &str, #[case] id: &str) {
        let found = not_dumped("shop", &refusal(error));
        assert_eq!(found.id, id);
        assert!(found.text.contains(&format!("\"shop\": {error} (at: LOCK TABLE t)")), "{found}");
    }
}
