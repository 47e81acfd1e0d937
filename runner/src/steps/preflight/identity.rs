//! What refers to the identity of a server, to which `pg_upgrade` gives another system identifier, fewer replication slots, and
//! other OIDs of some objects, but the same transaction ids; and what it has counted so far, which the new one has not: checks as
//! data. Most of it shows only after the upgrade.

use super::check::{Check, CheckScope, Question};
use crate::upgrade::Weight;

/// All of them.
pub const IDENTITY: &[Check] = &[
    Check {
        id: "synchronous-standby",
        weight: Weight::Blocks,
        scope: CheckScope::Server,
        applies: |_, _| true,
        // What only the data directory's own file sets is not carried over. A consumer of a logical slot, which is carried over
        // from 17 on, continues.
        question: Question::Sql(
            "SELECT format('synchronous_standby_names = %s', s.setting) FROM pg_settings s \
             WHERE s.name = 'synchronous_standby_names' AND s.setting <> '' \
             AND COALESCE(s.sourcefile, '') <> concat(current_setting('data_directory'), '/postgresql.conf') \
             AND NOT EXISTS (SELECT FROM pg_stat_replication r \
               JOIN pg_replication_slots l ON l.active_pid = r.pid AND l.slot_type = 'logical' \
               WHERE r.sync_state IN ('sync', 'quorum'))",
        ),
        remedy: "no standby can follow the upgraded server, which has another system identifier, so each COMMIT would wait for one \
             for ever; remove the setting (user.conf, ALTER SYSTEM RESET, pg_reload_conf()), and set it again once new \
             standbys exist",
    },
    Check {
        id: "synchronized-slot",
        weight: Weight::Blocks,
        scope: CheckScope::Server,
        // The setting and the property of slots exist since then.
        applies: |old, _| old >= 17,
        question: Question::Sql(
            "SELECT format('synchronized_standby_slots = %s', s.setting) FROM pg_settings s \
             WHERE s.name = 'synchronized_standby_slots' AND s.setting <> '' \
             AND COALESCE(s.sourcefile, '') <> concat(current_setting('data_directory'), '/postgresql.conf') \
             AND EXISTS (SELECT FROM pg_replication_slots WHERE slot_type = 'logical' AND failover)",
        ),
        remedy: "physical replication slots are not carried over, and logical ones with the property failover, which are, send \
             nothing while one that this setting names is missing; remove it (user.conf, ALTER SYSTEM RESET, pg_reload_conf()), \
             and set it again once new standbys with such slots exist",
    },
    Check {
        id: "transaction-ids",
        weight: Weight::Blocks,
        scope: CheckScope::Server,
        applies: |_, _| true,
        // A server stops assigning ids 1 (since 14: 3) million before they wrap around after 2^31; the restore needs some.
        question: Question::Sql(
            "SELECT format('\"%s\" (%s transactions, %s multixacts)', datname, age(datfrozenxid), mxid_age(datminmxid)) \
             FROM pg_database WHERE age(datfrozenxid) > 2140000000 OR mxid_age(datminmxid) > 2140000000 ORDER BY 1",
        ),
        remedy: "transaction ids are carried over, and the new server would stop to assign them while the schema is restored, since \
             the oldest is almost 2^31 back; VACUUM FREEZE these databases first",
    },
    Check {
        id: "oid-column",
        weight: Weight::Note,
        scope: CheckScope::Database,
        applies: |_, _| true,
        // Which OIDs stay is said at the head of src/bin/pg_upgrade/pg_upgrade.c. Extensions are left out.
        question: Question::Sql(
            "SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a \
             JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384 \
             JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
             WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid IN ('oid'::regtype, 'oid[]'::regtype, 'oidvector'::regtype) \
             AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid \
               AND e.deptype = 'e') ORDER BY 1",
        ),
        remedy: "OIDs of relations, types, enum values, roles and large objects stay the same, but those of functions, operators, \
             schemas, constraints, triggers and all other objects change, and before 15 those of databases and tablespaces too; \
             if these columns have such ones, store names instead (::regprocedure::text)",
    },
    Check {
        id: "activity-counters",
        weight: Weight::Note,
        scope: CheckScope::Database,
        applies: |_, _| true,
        // pg_upgrade carries the planner's statistics at most (doc/src/sgml/ref/pgupgrade.sgml).
        question: Question::Sql(
            "SELECT format('%I.%I (%s dead rows)', schemaname, relname, n_dead_tup) FROM pg_stat_user_tables \
             WHERE n_dead_tup >= 100000 \
             UNION ALL SELECT 'extension pg_stat_statements' FROM pg_extension WHERE extname = 'pg_stat_statements' ORDER BY 1",
        ),
        remedy: "counters of activity (pg_stat_user_tables, pg_stat_user_indexes, pg_stat_statements and the like) begin at zero in \
             the upgraded server: an index that is not used there yet may be needed, and autovacuum does not know of dead rows; \
             VACUUM tables that have many, and copy the counters that are wanted (CREATE TABLE … AS SELECT)",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::preflight::meaning::CHANGES;
    use crate::steps::preflight::table::checks;
    use std::collections::BTreeSet;

    #[test]
    fn checks_of_identity_have_ids_of_their_own_that_are_documented() {
        let page = include_str!("../../../../docs/reference/findings.md");
        let ids: BTreeSet<_> = checks().chain(CHANGES).chain(IDENTITY).map(|check| check.id).collect();
        assert_eq!(ids.len(), checks().count() + CHANGES.len() + IDENTITY.len());
        for check in IDENTITY {
            assert!(
                page.contains(&format!("`{}`", check.id)),
                "docs/reference/findings.md lacks {}",
                check.id
            );
        }
    }

    #[test]
    fn setting_that_stops_clients_after_the_upgrade_blocks_it() {
        let check = |id: &str| IDENTITY.iter().find(|check| check.id == id).unwrap();
        for id in ["synchronous-standby", "synchronized-slot", "transaction-ids"] {
            assert_eq!(check(id).weight, Weight::Blocks, "{id}");
        }
        assert!((check("synchronous-standby").applies)(13, 18));
        let slots = check("synchronized-slot").applies;
        assert!(slots(17, 18) && !slots(16, 18));
        for id in ["oid-column", "activity-counters"] {
            assert_eq!(check(id).weight, Weight::Note, "{id}");
        }
    }

    /// The server converts a query from UTF-8 to the encoding of the database.
    #[test]
    fn queries_of_identity_are_ascii() {
        for check in IDENTITY {
            let Question::Sql(sql) = &check.question else { panic!("{} has no SQL", check.id) };
            assert!(sql.is_ascii(), "{sql}");
        }
    }
}
