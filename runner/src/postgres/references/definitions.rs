//! The definitions of a restored database in which a time zone may be named. Nothing is evaluated: the server prints
//! what it has stored, as `pg_dump` has it printed.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::constants::ZONE_FUNCTIONS;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, text};

/// Where a definition is stored, and so what becomes of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefinitionKind {
    /// An expression that the server has parsed.
    Expression,
    /// The body of a function, as text.
    Body,
}

/// A definition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Definition {
    /// The object's kind and qualified name, such as `column day of table public.t`.
    pub object: String,
    pub text: String,
    pub kind: DefinitionKind,
}

/// Where expressions and bodies are stored.
struct Source {
    /// The first major version that has it.
    since: u32,
    kind: DefinitionKind,
    /// Object and text. `$1` is a regular expression that matches the stored form of expressions in question.
    sql: &'static str,
}

const SOURCES: &[Source] = &[
    // Defaults and generated columns.
    expressions(
        "SELECT pg_describe_object('pg_class'::regclass, d.adrelid, d.adnum), pg_get_expr(d.adbin, d.adrelid) \
         FROM pg_attrdef d WHERE d.adrelid >= 16384 AND d.adbin::text ~ $1",
    ),
    expressions(
        "SELECT concat(pg_describe_object('pg_constraint'::regclass, c.oid, 0), \
           ' of domain ' || nullif(c.contypid, 0::oid)::regtype::text), pg_get_constraintdef(c.oid) \
         FROM pg_constraint c WHERE c.oid >= 16384 AND c.conbin::text ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_class'::regclass, i.indexrelid, 0), pg_get_indexdef(i.indexrelid) \
         FROM pg_index i WHERE i.indexrelid >= 16384 AND concat(i.indexprs::text, i.indpred::text) ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_class'::regclass, p.partrelid, 0), pg_get_partkeydef(p.partrelid) \
         FROM pg_partitioned_table p WHERE p.partexprs::text ~ $1",
    ),
    // Views, materialized views and other rules.
    expressions(
        "SELECT CASE r.rulename WHEN '_RETURN' THEN pg_describe_object('pg_class'::regclass, r.ev_class, 0) \
           ELSE pg_describe_object('pg_rewrite'::regclass, r.oid, 0) END, pg_get_ruledef(r.oid) \
         FROM pg_rewrite r WHERE r.oid >= 16384 AND concat(r.ev_qual::text, r.ev_action::text) ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_policy'::regclass, p.oid, 0), \
           concat_ws(' , ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) \
         FROM pg_policy p WHERE concat(p.polqual::text, p.polwithcheck::text) ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_trigger'::regclass, t.oid, 0), pg_get_triggerdef(t.oid) \
         FROM pg_trigger t WHERE t.tgqual::text ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_type'::regclass, t.oid, 0), t.typdefault \
         FROM pg_type t WHERE t.oid >= 16384 AND t.typdefaultbin::text ~ $1",
    ),
    expressions(
        "SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), pg_get_expr(p.proargdefaults, 0) \
         FROM pg_proc p WHERE p.oid >= 16384 AND p.proargdefaults::text ~ $1",
    ),
    Source {
        since: 14,
        kind: DefinitionKind::Expression,
        sql: "SELECT pg_describe_object('pg_statistic_ext'::regclass, s.oid, 0), pg_get_statisticsobjdef(s.oid) \
              FROM pg_statistic_ext s WHERE s.stxexprs::text ~ $1",
    },
    Source {
        since: 15,
        kind: DefinitionKind::Expression,
        sql: "SELECT pg_describe_object('pg_publication_rel'::regclass, p.oid, 0), pg_get_expr(p.prqual, p.prrelid) \
              FROM pg_publication_rel p WHERE p.prqual::text ~ $1",
    },
    // BEGIN ATOMIC: parsed, but only a call fails, as with any other body.
    Source {
        since: 14,
        kind: DefinitionKind::Body,
        sql: "SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), pg_get_function_sqlbody(p.oid) \
              FROM pg_proc p WHERE p.oid >= 16384 AND p.prosqlbody::text ~ $1",
    },
    Source {
        since: 10,
        kind: DefinitionKind::Body,
        sql: "SELECT pg_describe_object('pg_proc'::regclass, p.oid, 0), p.prosrc \
              FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
              WHERE p.oid >= 16384 AND (p.prosrc ~ '[[:alpha:]_]/[[:upper:]]' OR p.prosrc ~* \
                'time\\s*zone|make_timestamptz|date_trunc|date_add|date_subtract|generate_series') \
              AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid \
                AND e.deptype = 'e')",
    },
];

const fn expressions(sql: &'static str) -> Source {
    Source { since: 10, kind: DefinitionKind::Expression, sql }
}

/// Those of the database that `client` is connected to, on a server of that major version: expressions that use a
/// function of time zones, or hold a constant with a slash, and bodies of functions that may.
pub async fn definitions_with_zones(client: &Client, major: u32) -> Result<Vec<Definition>, ServerError> {
    let failed = ServerError::query("definitions with time zones");
    let stored_form = text(client, "functions of time zones", &stored_form_query()).await?;
    let with_stored_form = [(&stored_form as &(dyn ToSql + Sync), Type::TEXT)];
    let mut definitions = Vec::new();
    for source in SOURCES.iter().filter(|source| source.since <= major) {
        let parameters: &[_] = if source.sql.contains("$1") { &with_stored_form } else { &[] };
        let rows = client.query_typed(source.sql, parameters).await;
        let read = |row: &Row| {
            Ok(Definition {
                object: row.try_get::<_, Lossy>(0)?.0,
                text: row.try_get::<_, Option<Lossy>>(1)?.map(|text| text.0).unwrap_or_default(),
                kind: source.kind,
            })
        };
        let read: Result<Vec<_>, _> = rows.map_err(failed)?.iter().map(read).collect();
        definitions.extend(read.map_err(failed)?);
    }
    definitions.sort_by(|a, b| a.object.cmp(&b.object));
    Ok(definitions)
}

/// The query for a regular expression that matches stored expressions (`pg_node_tree`): calls such as
/// `:funcid 1159 `, and text constants with a slash (a byte of 47), as in `:consttype 25 … :constvalue 9 [ 36 0 0 0 85 47 … ]`.
fn stored_form_query() -> String {
    let names: Vec<_> = ZONE_FUNCTIONS.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "SELECT concat(':funcid (', string_agg(oid::text, '|'), \
           ') |:consttype (25|1042|1043) [^}}]*:constvalue [^}}]* 47 ') \
         FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN ({}) \
           AND 'text'::regtype = ANY (proargtypes::oid[]) AND NOT (proname = 'date_trunc' AND pronargs < 3)",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_for_the_stored_form_names_every_function() {
        let query = stored_form_query();
        for name in ZONE_FUNCTIONS {
            assert!(query.contains(&format!("'{name}'")), "{name} in {query}");
        }
        assert!(query.contains("[^}]* 47 "), "{query}");
    }

    #[test]
    fn sources_of_expressions_use_the_stored_form_and_are_ascii() {
        for source in SOURCES {
            assert!(source.sql.is_ascii(), "{}", source.sql);
            let is_body = source.kind == DefinitionKind::Body;
            assert!(is_body || source.sql.contains("$1"), "{}", source.sql);
        }
    }
}
