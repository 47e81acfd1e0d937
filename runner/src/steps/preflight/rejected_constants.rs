//! Constants that 14 rejects when they are evaluated: regular expressions, and names of settings. No restore evaluates them, so only
//! the first row that is written, or the first query, would show it. They are looked for where the server stores them.

use super::check::{Check, CheckScope, Question};
use crate::upgrade::Weight;

/// A condition on a stored expression (`pg_node_tree`): it has a constant such as `[\w-_]`, which is stored byte by byte, as
/// `:constvalue 10 [ 40 0 0 0 91 92 119 45 95 93 ]`. Up to 13 `\w` is a set that ends with `_`, and so may begin a range.
macro_rules! has_range_of_class {
    ($expression:literal) => {
        concat!(
            $expression,
            " LIKE '% 92 119 45 %' AND ",
            $expression,
            " ~ ':constvalue \\d+ \\[ (-?\\d+ )*91 ((?!93 )-?\\d+ )*92 119 45 (?!93 )'"
        )
    };
}

/// A condition on a stored expression: it reads a setting by a constant that is not a list of identifiers with dots.
macro_rules! has_setting_name {
    ($expression:literal) => {
        concat!(
            $expression,
            " ~ ':funcid (2077|3294) [^{]*\\{CONST :consttype 25 [^}]*:constvalue \\d+ \\[ (-?\\d+ ){4}\
((-?\\d+ )*(3[2-57-9]|4[0-57]|5[89]|6[0-4]|9[1-46]|12[3-7]) |(4[89]|5[0-7]) )'"
        )
    };
}

/// What is evaluated whenever a row is written, or its index or table is processed, as `object`.
macro_rules! written {
    ($condition:ident) => {
        concat!(
            "SELECT pg_describe_object('pg_class'::regclass, d.adrelid, d.adnum) AS object FROM pg_attrdef d WHERE ",
            $condition!("d.adbin::text"),
            " UNION ALL SELECT concat(pg_describe_object('pg_constraint'::regclass, c.oid, 0), \
               ' of domain ' || nullif(c.contypid, 0::oid)::regtype::text) \
             FROM pg_constraint c WHERE c.oid >= 16384 AND c.conislocal AND ",
            $condition!("c.conbin::text"),
            " UNION ALL SELECT pg_describe_object('pg_class'::regclass, i.indexrelid, 0) \
             FROM pg_index i WHERE i.indexrelid >= 16384 AND ",
            $condition!("concat(i.indexprs::text, i.indpred::text)"),
            " UNION ALL SELECT pg_describe_object('pg_class'::regclass, p.partrelid, 0) FROM pg_partitioned_table p WHERE ",
            $condition!("p.partexprs::text"),
            " UNION ALL SELECT pg_describe_object('pg_policy'::regclass, p.oid, 0) FROM pg_policy p WHERE ",
            $condition!("concat(p.polqual::text, p.polwithcheck::text)"),
            " UNION ALL SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0) FROM pg_trigger t WHERE ",
            $condition!("t.tgqual::text")
        )
    };
}

/// What is evaluated by queries alone: views and other rules.
macro_rules! read {
    ($condition:ident) => {
        concat!(
            "SELECT CASE r.rulename WHEN '_RETURN' THEN pg_describe_object('pg_class'::regclass, r.ev_class, 0) \
               ELSE pg_describe_object('pg_rewrite'::regclass, r.oid, 0) END AS object \
             FROM pg_rewrite r WHERE r.oid >= 16384 AND ",
            $condition!("concat(r.ev_qual::text, r.ev_action::text)")
        )
    };
}

/// Functions of users in SQL and PL/pgSQL with such a body.
macro_rules! functions {
    ($condition:literal) => {
        concat!(
            "SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0) AS object \
             FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('plpgsql', 'sql') \
             WHERE p.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
               AND e.objid = p.oid AND e.deptype = 'e') AND (",
            $condition,
            ")"
        )
    };
}

/// All of them.
pub const REJECTED_CONSTANTS: &[Check] = &[
    Check {
        id: "regular-expression",
        weight: Weight::Blocks,
        scope: CheckScope::Database,
        applies: since_14,
        question: Question::Sql(concat!(written!(has_range_of_class), " ORDER BY 1")),
        remedy: "since 14 a range of a regular expression cannot begin with \\w, as in [\\w-_] (\"invalid character range\"): afterwards \
             no row could be written by these, nor their table be analyzed or their index be rebuilt; drop the hyphen, which up to 13 \
             matches nothing ([\\w]), or put it last ([\\w_-]) if it was meant",
    },
    Check {
        id: "regular-expression-in-code",
        weight: Weight::Note,
        scope: CheckScope::Database,
        applies: since_14,
        question: Question::Sql(concat!(
            read!(has_range_of_class),
            " UNION ALL ",
            functions!("p.prosrc ~ '\\[[^]\n]*\\\\w-[^]]'"),
            " ORDER BY 1"
        )),
        remedy: "since 14 a range of a regular expression cannot begin with \\w, as in [\\w-_] (\"invalid character range\"), and these \
             views and functions fail when they evaluate it; drop the hyphen ([\\w]), or put it last ([\\w_-]) if it was meant \
             (https://www.postgresql.org/docs/14/release-14.html)",
    },
    Check {
        id: "setting-name",
        weight: Weight::Note,
        scope: CheckScope::Database,
        applies: since_14,
        question: Question::Sql(concat!(
            written!(has_setting_name),
            " UNION ALL ",
            read!(has_setting_name),
            " UNION ALL ",
            functions!(
                "p.prosrc ~* '(set_config|current_setting)\\s*\\(\\s*''(?!([[:alpha:]_][[:alnum:]_$]*\\.)+[[:alpha:]_][[:alnum:]_$]*'')\
[^'']*\\.[^'']*''' OR p.prosrc ~* '\\mset\\s+(local\\s+|session\\s+)?\"[^\"]*[^[:alnum:]_$.\"][^\"]*\"\\s*(=|to\\M)'"
            ),
            " ORDER BY 1"
        )),
        remedy: "since 14 the name of a custom setting consists of identifiers and dots, and SET and set_config() reject another such as \
             \"request.header.user-agent\", so these fail or find no value; rename the settings, where clients set them too \
             (https://www.postgresql.org/docs/14/release-14.html)",
    },
];

fn since_14(old: u32, new: u32) -> bool {
    old < 14 && new >= 14
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::preflight::identity::IDENTITY;
    use crate::steps::preflight::meaning::CHANGES;
    use crate::steps::preflight::table::checks;
    use std::collections::BTreeSet;

    fn check(id: &str) -> &'static Check {
        REJECTED_CONSTANTS.iter().find(|check| check.id == id).unwrap()
    }

    #[test]
    fn constant_that_keeps_rows_from_being_written_blocks() {
        assert_eq!(check("regular-expression").weight, Weight::Blocks);
        for id in ["regular-expression-in-code", "setting-name"] {
            assert_eq!(check(id).weight, Weight::Note, "{id}");
        }
    }

    #[test]
    fn constants_are_rejected_since_14() {
        for check in REJECTED_CONSTANTS {
            assert!((check.applies)(13, 14) && (check.applies)(10, 18), "{}", check.id);
            assert!(!(check.applies)(14, 15) && !(check.applies)(12, 13), "{}", check.id);
        }
    }

    /// The server converts a query from UTF-8 to the encoding of the database.
    #[test]
    fn constants_are_searched_where_they_are_stored_in_ascii() {
        for check in REJECTED_CONSTANTS {
            let Question::Sql(sql) = &check.question else { panic!("{} has no SQL", check.id) };
            assert!(sql.is_ascii() && !sql.contains("pg_get_"), "{sql}");
        }
        let Question::Sql(sql) = &check("regular-expression").question else { panic!("it has no SQL") };
        for catalog in ["attrdef", "constraint", "index", "partitioned_table", "policy", "trigger"] {
            assert!(sql.contains(&format!("FROM pg_{catalog} ")), "{catalog} in {sql}");
        }
        assert_eq!(sql.matches(" LIKE '% 92 119 45 %' AND ").count(), 6);
    }

    #[test]
    fn checks_of_constants_have_ids_of_their_own_that_are_documented() {
        let page = include_str!("../../../../docs/reference/findings.md");
        let all = || checks().chain(CHANGES).chain(IDENTITY).chain(REJECTED_CONSTANTS);
        let ids: BTreeSet<_> = all().map(|check| check.id).collect();
        assert_eq!(ids.len(), all().count());
        for check in REJECTED_CONSTANTS {
            assert!(
                page.contains(&format!("`{}`", check.id)),
                "docs/reference/findings.md lacks {}",
                check.id
            );
        }
    }
}
