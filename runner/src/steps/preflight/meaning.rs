//! Changes of meaning between major versions that make no definition invalid, as data: what a role may do, what a
//! function or a trigger does. Each names the release notes that announce it. A change without objects to name is not
//! listed: it would be a note for every database.

use super::table::{Check, CheckScope, Question};
use crate::upgrade::Weight;

/// A change that `new` introduces, noted if its query finds objects.
macro_rules! change {
    ($id:literal, $scope:ident, $new:literal, $sql:expr, $remedy:literal) => {
        Check {
            id: $id,
            weight: Weight::Note,
            scope: CheckScope::$scope,
            applies: |from, to| from < $new && to >= $new,
            question: Question::Sql($sql),
            remedy: concat!($remedy, " (https://www.postgresql.org/docs/", $new, "/release-", $new, ".html)"),
        }
    };
}

/// Functions of users that are not in C and not an extension's, as `p`, in the language `l`.
macro_rules! functions {
    ($columns:literal, $condition:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
             WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
               AND e.objid = p.oid AND e.deptype = 'e') AND ",
            $condition
        )
    };
}

/// Functions whose body names what was removed or renamed. `$names` are rows of a regular expression and what is to be
/// used instead.
macro_rules! bodies_that_name {
    ($names:literal) => {
        concat!(
            "SELECT format('%s (%s)', f.name, string_agg(r.instead, '; ' ORDER BY r.instead)) FROM (",
            functions!("p.oid::regprocedure::text AS name, p.prosrc AS body", "true"),
            ") AS f JOIN (VALUES ",
            $names,
            ") AS r (pattern, instead) ON f.body ~* r.pattern GROUP BY f.name ORDER BY f.name"
        )
    };
}

pub const CHANGES: &[Check] = &[
    change!(
        "extract-in-return-query",
        Database,
        14,
        functions!(
            "p.oid::regprocedure::text",
            "l.lanname = 'plpgsql' AND p.proretset \
             AND (p.prorettype = 'float8'::regtype OR 'float8'::regtype = ANY (p.proallargtypes)) \
             AND p.prosrc ~* '\\mextract\\s*\\(' AND p.prosrc ~* '\\mreturn\\s+query\\M' ORDER BY 1"
        ),
        "since 14 EXTRACT returns numeric, and RETURN QUERY of a column of double precision rejects it; cast it \
         (EXTRACT(…)::double precision) in these functions"
    ),
    change!(
        "removed-in-15",
        Database,
        15,
        bodies_that_name!(
            "('\\mpg_start_backup\\M', 'pg_start_backup: pg_backup_start'), \
             ('\\mpg_stop_backup\\M', 'pg_stop_backup: pg_backup_stop'), \
             ('\\mpg_is_in_backup\\M', 'pg_is_in_backup: removed'), \
             ('\\mpg_backup_start_time\\M', 'pg_backup_start_time: removed')"
        ),
        "functions name what was removed or renamed in 15; change them"
    ),
    change!(
        "cursor-name",
        Database,
        16,
        functions!(
            "p.oid::regprocedure::text",
            "l.lanname = 'plpgsql' \
             AND (p.prorettype = 'refcursor'::regtype OR 'refcursor'::regtype = ANY (p.proallargtypes)) \
             AND p.prosrc ~* '\\mcursor\\s*(\\([^)]*\\)\\s*)?(for|is)\\M' ORDER BY 1"
        ),
        "since 16 a bound cursor variable is not opened under its own name, so clients that FETCH by that name fail; assign the \
         name before OPEN (c := 'c') in these functions"
    ),
    change!(
        "removed-in-16",
        Database,
        16,
        bodies_that_name!(
            "('''lc_(collate|ctype)''|\\mshow\\s+lc_(collate|ctype)\\M', \
               'lc_collate, lc_ctype: datcollate, datctype of pg_database'), \
             ('\\mforce_parallel_mode\\M', 'force_parallel_mode: debug_parallel_query'), \
             ('\\mvacuum_defer_cleanup_age\\M', 'vacuum_defer_cleanup_age: removed'), \
             ('\\mpg_get_wal_(records_info|stats)_till_end_of_wal\\M', \
               'pg_get_wal_..._till_end_of_wal: pg_get_wal_records_info, pg_get_wal_stats')"
        ),
        "functions name what was removed or renamed in 16; change them"
    ),
    change!(
        "maintenance-search-path",
        Database,
        17,
        // Names are taken from the text of the body: a function by its parenthesis, a relation by the word before it.
        concat!(
            "WITH used (function, relation) AS ( \
               SELECT d.refobjid, c.oid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('i', 'I') \
               WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_proc'::regclass \
               UNION SELECT d.refobjid, c.oid FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid \
               JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'm' \
               WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass \
             ), code AS (",
            functions!(
                "p.oid, p.prosrc AS body",
                "p.oid IN (SELECT function FROM used) AND l.lanname IN ('sql', 'plpgsql') \
                 AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS s WHERE s LIKE 'search_path=%')"
            ),
            "), named AS ( \
               SELECT c.oid, lower(w[2]) AS name, true AS is_call \
               FROM code c, regexp_matches(c.body, '(\\.\\s*\"?)?\\m([[:alpha:]_]\\w*)\"?\\s*\\(', 'g') AS w \
               WHERE w[1] IS NULL \
               UNION SELECT c.oid, lower(w[1]), false FROM code c, regexp_matches(c.body, \
                 '\\m(?:from|join|update|insert\\s+into)\\s+(?:only\\s+)?\"?([[:alpha:]_]\\w*)\"?(?!\\w|\"?\\s*\\.)', 'gi') AS w \
             ), unqualified AS ( \
               SELECT n.oid, string_agg(DISTINCT n.name, ', ') AS names FROM named n \
               WHERE n.is_call AND n.name IN (SELECT proname::text FROM pg_proc WHERE oid >= 16384) \
                 AND n.name NOT IN (SELECT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace) \
               OR NOT n.is_call AND n.name IN (SELECT relname::text FROM pg_class WHERE oid >= 16384) \
               GROUP BY n.oid \
             ) \
             SELECT format('%s (names %s; used by %s)', n.oid::regprocedure, n.names, min(u.relation::regclass::text)) \
             FROM unqualified n JOIN used u ON u.function = n.oid GROUP BY n.oid, n.names ORDER BY 1"
        ),
        "since 17 REINDEX, ANALYZE, REFRESH MATERIALIZED VIEW and other maintenance run with the search path of the system, on which \
         these functions do not find what they name; ALTER FUNCTION … SET search_path = …, or qualify the names"
    ),
    change!(
        "removed-in-17",
        Database,
        17,
        bodies_that_name!(
            "('\\m(buffers_backend|buffers_backend_fsync)\\M', 'buffers_backend, buffers_backend_fsync: pg_stat_io'), \
             ('\\m(buffers_checkpoint|checkpoints_timed|checkpoints_req|checkpoint_(write|sync)_time)\\M', \
               'columns of pg_stat_bgwriter about checkpoints: pg_stat_checkpointer'), \
             ('\\mdaticulocale\\M', 'daticulocale: datlocale'), ('\\mcolliculocale\\M', 'colliculocale: colllocale'), \
             ('\\m(max|num)_dead_tuples\\M', 'columns of pg_stat_progress_vacuum: max_dead_tuple_bytes, num_dead_item_ids'), \
             ('\\mold_snapshot_threshold\\M', 'old_snapshot_threshold: removed')"
        ),
        "functions name what was removed or renamed in 17; change them"
    ),
    change!(
        "deferrable-trigger",
        Database,
        18,
        // A trigger of a partitioned table has one of the same name in each partition.
        "SELECT format('%I on %s executes %s', t.tgname, min(t.tgrelid::regclass::text), p.oid::regprocedure) \
         FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid \
         WHERE NOT t.tgisinternal AND t.tgdeferrable AND NOT p.prosecdef GROUP BY t.tgname, p.oid ORDER BY 1",
        "since 18 a deferred trigger runs as the role that made the change, not as the one at COMMIT; make its function \
         SECURITY DEFINER if it relied on the other"
    ),
    change!(
        "removed-in-18",
        Database,
        18,
        bodies_that_name!(
            "('\\mpg_stat_wal\\M.*\\mwal_(write|sync)(_time)?\\M|\\mwal_(write|sync)(_time)?\\M.*\\mpg_stat_wal\\M', \
               'wal_write, wal_sync of pg_stat_wal: pg_stat_io'), \
             ('\\mpg_stat_io\\M.*\\mop_bytes\\M|\\mop_bytes\\M.*\\mpg_stat_io\\M', \
               'op_bytes of pg_stat_io: read_bytes, write_bytes, extend_bytes'), \
             ('\\mpg_backend_memory_contexts\\M.*\\mparent\\M|\\mparent\\M.*\\mpg_backend_memory_contexts\\M', \
               'parent of pg_backend_memory_contexts: path')"
        ),
        "functions name what was removed or renamed in 18; change them"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::preflight::table::CHECKS;
    use std::collections::BTreeSet;

    #[test]
    fn changes_are_notes_with_a_source() {
        for change in CHANGES {
            assert_eq!(change.weight, Weight::Note, "{}", change.id);
            assert!(change.remedy.contains("(https://www.postgresql.org/docs/"), "{}", change.id);
        }
    }

    #[test]
    fn changes_apply_to_pairs_that_reach_their_version() {
        let change = CHANGES.iter().find(|change| change.id == "cursor-name").unwrap();
        let applies = |from, to| (change.applies)(from, to);
        assert!(applies(13, 16) && applies(15, 18));
        assert!(!applies(13, 15) && !applies(16, 17));
    }

    #[test]
    fn changes_have_ids_of_their_own_that_are_documented() {
        let page = include_str!("../../../../docs/reference/findings.md");
        let ids: BTreeSet<_> = CHANGES.iter().chain(CHECKS).map(|check| check.id).collect();
        assert_eq!(ids.len(), CHANGES.len() + CHECKS.len());
        for change in CHANGES {
            assert!(
                page.contains(&format!("`{}`", change.id)),
                "docs/reference/findings.md lacks {}",
                change.id
            );
        }
    }

    /// The server converts a query from UTF-8 to the encoding of the database.
    #[test]
    fn queries_are_ascii() {
        for change in CHANGES {
            let Question::Sql(sql) = &change.question else { panic!("{} has no SQL", change.id) };
            assert!(sql.is_ascii(), "{sql}");
        }
    }
}
