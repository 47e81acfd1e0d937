//! Results of full-text search that are stored, and that 14 computes differently: `to_tsquery('pg_class')` requires `pg` and `class` to
//! follow each other since then, before to occur in any order. Neither the words nor the dictionaries differ.

use super::check::{Check, CheckScope, Question};
use crate::upgrade::Weight;

/// A condition on a stored expression (`pg_node_tree`): it parses a query.
macro_rules! parses_query {
    ($expression:literal) => {
        concat!(
            $expression,
            " ~ (SELECT concat(':funcid (', string_agg(p.oid::text, '|'), ') ') FROM pg_proc p \
               WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname IN ('to_tsquery', 'websearch_to_tsquery'))"
        )
    };
}

/// Indexes are rebuilt: the duty of that name.
pub const STORED_QUERIES: &[Check] = &[Check {
    id: "text-search-query",
    weight: Weight::Note,
    scope: CheckScope::Database,
    applies: |old, new| old < 14 && new >= 14,
    question: Question::Sql(concat!(
        "SELECT pg_describe_object('pg_class'::regclass, d.adrelid, d.adnum) FROM pg_attrdef d \
         JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum AND a.attgenerated <> '' WHERE ",
        parses_query!("d.adbin::text"),
        " UNION ALL SELECT concat(pg_describe_object('pg_constraint'::regclass, c.oid, 0), \
           ' of domain ' || nullif(c.contypid, 0::oid)::regtype::text) \
         FROM pg_constraint c WHERE c.oid >= 16384 AND c.conislocal AND ",
        parses_query!("c.conbin::text"),
        " UNION ALL SELECT pg_describe_object('pg_class'::regclass, p.partrelid, 0) FROM pg_partitioned_table p WHERE ",
        parses_query!("p.partexprs::text"),
        " UNION ALL SELECT pg_describe_object('pg_class'::regclass, r.ev_class, 0) \
         FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class AND c.relkind = 'm' WHERE ",
        parses_query!("r.ev_action::text"),
        " ORDER BY 1"
    )),
    remedy: "since 14 to_tsquery() and websearch_to_tsquery() require the parts of a word that the parser splits, such as pg_class, to \
         follow each other, and before in any order: generated columns keep the former results until UPDATE … SET column = DEFAULT, \
         materialized views until REFRESH, and rows were checked by them (https://www.postgresql.org/docs/14/release-14.html)",
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_parsed_differently_since_14() {
        let [check] = STORED_QUERIES else { panic!("there is one") };
        assert!((check.applies)(13, 14) && !(check.applies)(14, 18));
        assert_eq!(check.weight, Weight::Note);
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}` (note)", check.id)));
    }

    /// Otherwise an index would be named by one of them and rebuilt by none.
    #[test]
    fn functions_that_parse_queries_are_those_of_the_duty() {
        let Question::Sql(sql) = &STORED_QUERIES[0].question else { panic!("it has no SQL") };
        let functions = "p.proname IN ('to_tsquery', 'websearch_to_tsquery')";
        assert!(sql.is_ascii() && sql.matches(functions).count() == 4, "{sql}");
        assert!(include_str!("../../postgres/duties/about_indexes.rs").contains(functions));
    }
}
