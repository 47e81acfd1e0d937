//! Changes of meaning between major versions that make no definition invalid, as data: what a role may do, what a
//! function or a trigger does. Each names the release notes that announce it. A change without objects to name is not
//! listed: it would be a note for every database. Nor are names that the target no longer has: the servers themselves are
//! asked for those, see [`super::changed_meaning`].

use super::check::{Check, CheckScope, Question};
use crate::postgres::meaning::search_path;
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

/// Functions whose body names what an update of an extension removes or renames: no server has that version yet. `$names` are
/// rows of a regular expression and what is to be used instead.
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

/// The code of functions with an operator of containment, as `body`, without comments and constants.
macro_rules! code_with_containment {
    () => {
        functions!(
            "p.oid, regexp_replace(regexp_replace(p.prosrc, '--[^\n]*', ' ', 'g'), '''[^'']*''', '''''', 'g') AS body",
            "p.prosrc ~ '[@~]'"
        )
    };
}

pub const CHANGES: &[Check] = &[
    change!(
        "extension-names-13",
        Database,
        13,
        bodies_that_name!(
            "('\\mpg_stat_statements\\M.*\\m(total|min|max|mean|stddev)_time\\M|\
               \\m(total|min|max|mean|stddev)_time\\M.*\\mpg_stat_statements\\M', \
               'total_time and the like of pg_stat_statements: total_exec_time, total_plan_time')"
        ),
        "functions name columns of extensions that are renamed in their versions of 13; change them after the update"
    ),
    change!(
        "containment-operator",
        Database,
        14,
        // A single `@` or `~` between two operands. Operators of these names that stay are those of other extensions.
        concat!(
            "WITH code AS (",
            code_with_containment!(),
            "), others AS ( \
               SELECT o.oprname::text AS name FROM pg_operator o WHERE o.oid >= 16384 AND o.oprleft <> 0 \
               AND o.oprname IN ('@', '~') AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid \
                 WHERE d.classid = 'pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e' \
                 AND e.extname IN ('cube', 'hstore', 'intarray', 'seg')) \
             ) \
             SELECT c.oid::regprocedure::text FROM code c WHERE EXISTS (SELECT FROM regexp_matches(c.body, \
               '([[:alnum:]_$)\\]\"'']+)\\s*([@~])(?![-+*/<>=~!@#%^&|`?])\\s*([[:alnum:]_$(\"'']?)', 'g') AS w \
               WHERE w[2] NOT IN (SELECT name FROM others) AND lower(w[1]) NOT IN ('and', 'by', 'case', 'else', 'in', 'not', \
                 'on', 'or', 'return', 'select', 'then', 'when', 'where') \
               AND (w[2] = '@' OR w[3] <> '''' AND concat(c.oid::regprocedure, c.body) ~* '\\m(box|circle|cube|hstore|polygon|seg)\\M')) ORDER BY 1"
        ),
        "14 removes the operators @ and ~ of geometric types, cube, hstore, intarray and seg, which these functions seem to use; \
         use <@ and @> instead"
    ),
    change!(
        "extract-from-date",
        Database,
        14,
        // Known as dates are current_date, casts, constants, parameters and variables.
        functions!(
            "p.oid::regprocedure::text",
            "p.prosrc ~* '\\mextract\\s*\\(' AND ( \
               p.prosrc ~* '\\mextract\\s*\\(\\s*''?(hour|minute|second|milli|micro|timezone)\\w*''?\\s+from\\s+\
(current_date|date\\s*''[^'']*''|cast\\s*\\(([^()]|\\([^()]*\\))*\\mas\\s+date\\s*\\)|\
([^()]|\\(([^()]|\\([^()]*\\))*\\))*::\\s*date)\\s*\\)' \
               OR p.prosrc ~* '\\m(\\w+)\\s+date\\s*(?:;|:=|=|default\\M|not\\M).*\
\\mextract\\s*\\(\\s*''?(?:hour|minute|second|milli|micro|timezone)\\w*''?\\s+from\\s+\\1\\s*\\)' \
               OR EXISTS (SELECT FROM unnest(p.proargnames, COALESCE(p.proallargtypes, p.proargtypes::oid[])) AS a (name, type) \
                 WHERE a.type = 'date'::regtype AND a.name ~ '^\\w+$' AND p.prosrc ~* concat('\\mextract\\s*\\(\\s*''?\
(hour|minute|second|milli|micro|timezone)\\w*''?\\s+from\\s+', a.name, '\\s*\\)')) \
               OR EXISTS (SELECT FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, number) \
                 WHERE a.type = 'date'::regtype AND p.prosrc ~* concat('\\mextract\\s*\\(\\s*''?\
(hour|minute|second|milli|micro|timezone)\\w*''?\\s+from\\s+\\$', a.number, '\\s*\\)'))) ORDER BY 1"
        ),
        "since 14 EXTRACT of an hour or a smaller unit from a date is an error, no longer 0; remove it, or cast the date to \
         timestamp in these functions"
    ),
    change!(
        "extract-stored",
        Database,
        14,
        // Of the fields only these have decimals that float8 leaves out. Views and defaults have date_part() since they were parsed.
        "SELECT format('%s (used by %s)', p.oid::regprocedure, string_agg(DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid), \
           ', ')) \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
         JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid \
           AND d.classid IN ('pg_class'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass) \
         WHERE p.oid >= 16384 AND p.prosrc ~* '\\mextract\\s*\\(\\s*''?(epoch|second|millisecond|julian)[^()]*(\\([^()]*\\)[^()]*)*\\)\
(?!\\s*\\)*\\s*::\\s*(double|float))' \
         GROUP BY p.oid ORDER BY 1",
        "since 14 EXTRACT of epoch, second and the like returns numeric, which as text has other decimals (1577836800.000000, formerly \
         1577836800), and rounds halves up (2.5 to 3, formerly 2), so what these have stored differs from what these functions \
         return then. Indexes are rebuilt after the outage (release-duty); generated columns keep the former values until UPDATE … SET \
         source = source of a column that they are computed from (SET … = DEFAULT computes nothing), and rows stay in the former \
         partitions, where queries miss them, until SET enable_partition_pruning = off and UPDATE … SET key = key. To avoid both, \
         write date_part('epoch', …) in these functions before the upgrade, which returns the same on both versions, or cast to \
         double precision"
    ),
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
        "cursor-name",
        Database,
        16,
        functions!(
            "p.oid::regprocedure::text",
            "l.lanname = 'plpgsql' \
             AND (p.prorettype = 'refcursor'::regtype OR 'refcursor'::regtype = ANY (p.proallargtypes)) \
             AND p.prosrc ~* '\\mcursor\\s*(\\(([^()]|\\([^()]*\\))*\\)\\s*)?(for|is)\\M' ORDER BY 1"
        ),
        "since 16 a bound cursor variable is not opened under its own name, so clients that FETCH by that name fail; assign the \
         name before OPEN (c := 'c') in these functions"
    ),
    change!(
        "extension-names-16",
        Database,
        16,
        bodies_that_name!(
            "('\\mpg_get_wal_(records_info|stats)_till_end_of_wal\\M', \
               'pg_get_wal_..._till_end_of_wal of pg_walinspect: pg_get_wal_records_info, pg_get_wal_stats')"
        ),
        "functions name functions of extensions that their versions of 16 no longer have; change them after the update"
    ),
    change!(
        "subscription-owner",
        Database,
        16,
        "SELECT format('%I of %I: %s', s.subname, o.rolname, concat_ws('; ', g.statements, p.statement)) \
         FROM pg_subscription s JOIN pg_roles o ON o.oid = s.subowner AND NOT o.rolsuper \
         CROSS JOIN LATERAL (SELECT string_agg(DISTINCT format('GRANT %I TO %I', t.rolname, o.rolname), '; ') AS statements \
           FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid JOIN pg_roles t ON t.oid = c.relowner \
           WHERE r.srsubid = s.oid AND NOT pg_has_role(o.oid, t.oid, 'MEMBER')) AS g \
         CROSS JOIN LATERAL (SELECT CASE WHEN s.subconninfo !~* 'password\\s*=|://[^/@]*:[^/@]*@' \
           THEN format('ALTER SUBSCRIPTION %I SET (password_required = false)', s.subname) END AS statement) AS p \
         WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND COALESCE(g.statements, p.statement) IS NOT NULL ORDER BY 1",
        "since 16 a subscription whose owner is not a superuser writes with the rights of the owners of its tables, which it must \
         be able to SET ROLE to (or run_as_owner = true), and connects only with a password; run these as a superuser after the \
         upgrade"
    ),
    change!(
        "role-inherit",
        Server,
        16,
        "SELECT format('%I (member of %s)', r.rolname, string_agg(quote_ident(g.rolname), ', ' ORDER BY g.rolname)) \
         FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid JOIN pg_roles g ON g.oid = m.roleid \
         WHERE NOT r.rolinherit AND NOT r.rolsuper GROUP BY r.rolname ORDER BY r.rolname",
        "since 16 each membership has its own INHERIT option: those of roles with NOINHERIT are carried over with FALSE, and ALTER \
         ROLE … INHERIT or NOINHERIT changes only later GRANTs; use GRANT … TO … WITH INHERIT TRUE or FALSE"
    ),
    change!(
        "own-membership",
        Server,
        15,
        "SELECT format('%I in %I', m.rolname, r.rolname) FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid AND NOT r.rolsuper \
         JOIN pg_roles m ON m.oid = a.member WHERE a.grantor = a.roleid ORDER BY 1",
        "since 15 a role may no longer grant or revoke the membership in itself, as these have done; let a role that has the ADMIN \
         OPTION on it, or CREATEROLE before 16, do so"
    ),
    change!(
        "membership-grantor",
        Server,
        16,
        // pg_dumpall leaves out who has granted a membership before 16, since it need not have the ADMIN OPTION.
        "SELECT format('GRANT %1$I TO %2$I%3$s GRANTED BY %4$I; REVOKE %1$I FROM %2$I', r.rolname, m.rolname, \
           CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END, g.rolname) \
         FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member \
         JOIN pg_roles g ON g.oid = a.grantor AND g.oid <> r.oid AND NOT g.rolsuper \
         WHERE g.rolcreaterole OR EXISTS (SELECT FROM pg_auth_members o \
           WHERE o.roleid = r.oid AND o.member = g.oid AND o.admin_option) ORDER BY 1",
        "since 16 a role revokes only the memberships that it has granted itself, and a REVOKE of others ends with a warning; after \
         the upgrade the superuser has granted all of them, so roles that revoke these today no longer can: a superuser can give each \
         its grantor again, if that has the ADMIN OPTION, by both statements in one transaction"
    ),
    change!(
        "maintenance-search-path",
        Database,
        17,
        search_path::FUNCTIONS,
        "since 17 REINDEX, ANALYZE, REFRESH MATERIALIZED VIEW and other maintenance run with the search path of the system, on which \
         these functions do not find what they name, or find another operator or function of that name, so that an index lacks \
         rows; ALTER FUNCTION … SET search_path = …, or qualify the names (OPERATOR(public.=)); functions of an extension may \
         need its update"
    ),
    change!(
        "refresh-search-path",
        Database,
        17,
        // Functions of the server that look up names in a text, and casts of texts. A name that is known already is a constant.
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'm' AND pg_get_viewdef(c.oid) \
         ~ '\\m(ts_stat|query_to_xml\\w*|to_reg\\w+|nextval|currval)\\(|[^'']::reg(class|collation|config|dictionary|namespace|oper|\
operator|proc|procedure|type)\\M' ORDER BY 1",
        "since 17 REFRESH MATERIALIZED VIEW runs with the search path of the system, on which names that the queries of these look \
         up while they run are not found (ts_stat('SELECT … FROM documents'), lang::regconfig); write the names with their schema"
    ),
    change!(
        "extension-names-17",
        Database,
        17,
        bodies_that_name!(
            "('\\mpg_stat_statements\\M.*\\mblk_(read|write)_time\\M|\\mblk_(read|write)_time\\M.*\\mpg_stat_statements\\M', \
               'blk_read_time, blk_write_time of pg_stat_statements: shared_blk_read_time, shared_blk_write_time')"
        ),
        "functions name columns of extensions that are renamed in their versions of 17; change them after the update"
    ),
    change!(
        "statistics-target",
        Database,
        17,
        functions!("p.oid::regprocedure::text", "p.prosrc ~* '\\m(att|stx)stattarget\\M' ORDER BY 1"),
        "since 17 attstattarget of pg_attribute and stxstattarget of pg_statistic_ext are NULL, no longer -1, if the default \
         applies; test for NULL in these functions"
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
        "returning-old-new",
        Database,
        18,
        // Until a target, a loop or the end of the list. Parentheses are read two levels deep.
        functions!(
            "p.oid::regprocedure::text",
            "l.lanname = 'plpgsql' AND regexp_replace(p.prosrc, '--[^\n]*', ' ', 'g') ~* '\\mreturning\\M\
((?!\\m(into|loop)\\M)([^;()]|\\(([^()]|\\([^()]*\\))*\\)))*(\\([^;()]*)*\\m(old|new)\\M' ORDER BY 1"
        ),
        "since 18 OLD and NEW in RETURNING are the row of the table before and after, so that variables of these names, such as the \
         rows of a trigger, are ambiguous there (\"column reference is ambiguous\"); assign them to other variables first in these \
         functions"
    ),
    change!(
        "autovacuum-workers",
        Server,
        18,
        "SELECT format('autovacuum_max_workers = %s', setting) FROM pg_settings \
         WHERE name = 'autovacuum_max_workers' AND setting::int > 16",
        "since 18 autovacuum_worker_slots limits the workers, to 16 by default; after the upgrade run ALTER SYSTEM SET \
         autovacuum_worker_slots = …, and restart (a version that does not know the setting does not start with it)"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::preflight::table::checks;
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

    #[rstest::rstest]
    #[case::operators_were_removed_in_14("containment-operator", (13, 14), (14, 17))]
    #[case::stored_results_of_extract_since_14("extract-stored", (13, 15), (14, 17))]
    #[case::dates_have_no_hours_since_14("extract-from-date", (13, 17), (14, 15))]
    #[case::owners_of_subscriptions_since_16("subscription-owner", (15, 16), (16, 17))]
    #[case::memberships_inherit_since_16("role-inherit", (13, 18), (13, 15))]
    #[case::roles_do_not_administer_themselves_since_15("own-membership", (13, 15), (15, 17))]
    #[case::memberships_have_a_grantor_since_16("membership-grantor", (13, 17), (16, 17))]
    #[case::views_are_refreshed_with_another_path_since_17("refresh-search-path", (13, 17), (17, 18))]
    #[case::targets_are_null_since_17("statistics-target", (16, 17), (17, 18))]
    #[case::returning_has_old_and_new_since_18("returning-old-new", (13, 18), (13, 17))]
    #[case::workers_have_slots_since_18("autovacuum-workers", (17, 18), (16, 17))]
    fn change_applies_to_the_versions_that_it_is_between(
        #[case] id: &str,
        #[case] applies: (u32, u32),
        #[case] not: (u32, u32),
    ) {
        let change = CHANGES.iter().find(|change| change.id == id).unwrap();
        assert!((change.applies)(applies.0, applies.1));
        assert!(!(change.applies)(not.0, not.1));
    }

    #[test]
    fn notes_about_subscriptions_have_statements_to_run_and_no_password() {
        let owner = CHANGES.iter().find(|change| change.id == "subscription-owner").unwrap();
        let Question::Sql(sql) = &owner.question else { panic!("it has no SQL") };
        assert!(sql.contains("'GRANT %I TO %I'") && sql.contains("SET (password_required = false)"), "{sql}");
        // The connection is only searched, never given.
        assert!(!sql.contains(", s.subconninfo"), "{sql}");
    }

    /// The superuser's own grant would keep the membership when its grantor revokes it.
    #[test]
    fn note_about_grantors_has_statements_that_leave_one_membership() {
        let grantor = CHANGES.iter().find(|change| change.id == "membership-grantor").unwrap();
        let Question::Sql(sql) = &grantor.question else { panic!("it has no SQL") };
        assert!(sql.contains("'GRANT %1$I TO %2$I%3$s GRANTED BY %4$I; REVOKE %1$I FROM %2$I'"), "{sql}");
    }

    #[test]
    fn changes_have_ids_of_their_own_that_are_documented() {
        let page = include_str!("../../../../docs/reference/findings.md");
        let ids: BTreeSet<_> = CHANGES.iter().chain(checks()).map(|check| check.id).collect();
        assert_eq!(ids.len(), CHANGES.len() + checks().count());
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
