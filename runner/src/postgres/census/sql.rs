//! The queries of the census.

use std::collections::BTreeSet;

use super::definitions::{Catalog, Column, Treatment};

/// Columns that both servers have, as `catalog.column`.
pub type CommonColumns = BTreeSet<String>;

/// Begins the transaction in which a census is read: names and values are shown in one way, whatever the session's settings.
/// All names are quoted, since each version reserves other words.
///
/// Catalogs are joined by hashes or in order. Their statistics may be those of `initdb`, by which there are hardly any rows of
/// users: a nested loop that was planned for a few of them takes minutes for 10,000 tables.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_nestloop = off; \
     SET LOCAL TimeZone = 'UTC'; \
     SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL extra_float_digits = 1; \
     SET LOCAL bytea_output = 'hex'; SET LOCAL quote_all_identifiers = on";

/// Which of the rows about what `initdb` created a query returns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BuiltIn {
    /// Those that a later transaction has changed.
    Changed,
    /// All, for a server that is asked whether it has the same: there no later transaction need have changed them.
    All,
}

/// The transaction that `initdb` ended with: rows that it created have an earlier one, also when they are frozen. It
/// created these databases last; a later `ALTER DATABASE` of one of them does not matter as long as another has none.
const INITDB: &str = "SELECT min(d.xmin::text::int8) AS last FROM pg_database d \
     WHERE d.datname IN ('template0', 'template1', 'postgres')";

/// Whether a row was written after `initdb`.
const MODIFIED: &str = "r.xmin::text::int8 > (SELECT i.last FROM initdb i)";

/// The oldest transaction that may still run: what a later dump does not see has this one or a later one.
pub const HORIZON: &str = "SELECT txid_snapshot_xmin(txid_current_snapshot())::text";

/// A query of the rows of a catalog with the columns `identity`, `fields` (those of [`compared`]), `xmin` and `built_in`
/// (whether `initdb` created what the row is about); `None` if one of the servers lacks the catalog.
#[must_use]
pub fn rows(catalog: &Catalog, common: &CommonColumns, built_in: BuiltIn) -> Option<String> {
    exists(catalog, common).then(|| {
        let fields: Vec<_> =
            compared(catalog, common).map(|(_, sql)| uniform(&format!("COALESCE({sql}, '')"))).collect();
        let query = format!(
            "SELECT {} AS identity, ARRAY[{}]::text[] AS fields, r.xmin::text::int8 AS xmin, {} AS built_in \
             FROM pg_catalog.{} r WHERE {}",
            uniform(&catalog.identity),
            fields.join(", "),
            is_built_in(catalog),
            catalog.name,
            condition(catalog, built_in)
        );
        without_temporary(&query)
    })
}

/// A query of the rights on the rows of a catalog, in the form of [`rows`].
///
/// They are those that an object has beyond, or lacks of, the rights that `initdb` or its extension gave it. What it had
/// then depends on the version: with [`BuiltIn::All`] there is a row for each right on what is built in, and for each that
/// its owner or `PUBLIC` lacks.
#[must_use]
pub fn rights(catalog: &Catalog, common: &CommonColumns, built_in: BuiltIn) -> Option<String> {
    let (column, default) = column_of_rights(catalog)?;
    exists(catalog, common).then(|| {
        let (key, sub) = match catalog.name {
            "pg_attribute" => ("r.attrelid", "r.attnum"),
            _ => ("r.oid", "0"),
        };
        let class = if catalog.name == "pg_attribute" { "pg_class" } else { catalog.name };
        let items = |acl: &str| {
            format!(
                "SELECT x.privilege_type, x.grantee, x.is_grantable FROM aclexplode({acl}) AS x \
                 WHERE x.grantee = 0 OR EXISTS (SELECT FROM pg_authid a WHERE a.oid = x.grantee)"
            )
        };
        let initial = items(&format!(
            "COALESCE((SELECT i.initprivs FROM pg_init_privs i WHERE i.objoid = {key} \
             AND i.classoid = 'pg_catalog.{class}'::regclass AND i.objsubid = {sub}), {default})"
        ));
        let have = items(&format!("COALESCE(r.{column}, {default})"));
        let default = items(default);
        let (granted, revoked) = match (built_in, catalog.key) {
            (BuiltIn::All, Some(_)) => {
                let is_built_in = is_built_in(catalog);
                (
                    format!("{have} EXCEPT SELECT i.* FROM ({initial}) AS i WHERE NOT {is_built_in}"),
                    format!(
                        "({initial} UNION SELECT i.* FROM ({default}) AS i WHERE {is_built_in} \
                         UNION SELECT i.privilege_type, 0, i.is_grantable FROM ({default}) AS i WHERE {is_built_in}) \
                         EXCEPT {have}"
                    ),
                )
            }
            _ => (format!("{have} EXCEPT {initial}"), format!("{initial} EXCEPT {have}")),
        };
        let query = format!(
            "SELECT {identity} || ': ' || d.change || ' ' || d.privilege_type || ' ' || d.preposition || ' ' \
             || CASE d.grantee WHEN 0 THEN 'PUBLIC' ELSE d.grantee::regrole::text END \
             || CASE WHEN d.is_grantable THEN ' with grant option' ELSE '' END AS identity, \
             ARRAY[]::text[] AS fields, r.xmin::text::int8 AS xmin, {is_built_in} AS built_in \
             FROM pg_catalog.{name} r, LATERAL ( \
             SELECT 'granted' AS change, 'to' AS preposition, g.* FROM ({granted}) AS g \
             UNION ALL SELECT 'revoked', 'from', v.* FROM ({revoked}) AS v) AS d WHERE {condition}",
            condition = condition_of_rights(catalog, column, built_in),
            identity = uniform(&catalog.identity),
            is_built_in = is_built_in(catalog),
            name = catalog.name,
        );
        without_temporary(&query)
    })
}

/// A query that returns for each named query of rows its name, the number of its rows, and a number that is the same for
/// the same rows.
#[must_use]
pub fn digests<'a>(queries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let digest = |(name, query)| {
        format!(
            "SELECT '{name}'::text AS name, count(*)::int8 AS rows, COALESCE(sum(hashtextextended(s.identity || \
             s.fields::text, 0)::numeric), 0)::text AS digest FROM ({query}) AS s"
        )
    };
    with_initdb(&queries.into_iter().map(digest).collect::<Vec<_>>().join(" UNION ALL "))
}

/// A query of the rows of all named queries: the name, the identity, and a number that is the same for the same fields.
#[must_use]
pub fn fingerprints<'a>(queries: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let fingerprint = |(name, query)| {
        format!(
            "SELECT '{name}'::text AS name, s.identity, hashtextextended(s.fields::text, 0) AS fingerprint \
             FROM ({query}) AS s"
        )
    };
    with_initdb(&queries.into_iter().map(fingerprint).collect::<Vec<_>>().join(" UNION ALL "))
}

/// A query of a number for the identity of each row, and of one for its fields.
#[must_use]
pub fn row_digests(query: &str) -> String {
    with_initdb(&format!(
        "SELECT hashtextextended(s.identity, 0), hashtextextended(s.fields::text, 0) FROM ({query}) AS s"
    ))
}

/// A query of those rows whose identities have the numbers in `$1`, each once.
#[must_use]
pub fn rows_with_identities(query: &str) -> String {
    with_initdb(&format!(
        "SELECT s.* FROM ({query}) AS s JOIN unnest($1::int8[]) AS w (identity) \
         ON w.identity = hashtextextended(s.identity, 0)"
    ))
}

/// A query of rows that can be run by itself.
#[must_use]
pub fn with_initdb(query: &str) -> String {
    format!("WITH initdb AS ({INITDB}) {query}")
}

/// The columns that are compared, with the SQL of their value.
pub fn compared<'a>(
    catalog: &'a Catalog,
    common: &'a CommonColumns,
) -> impl Iterator<Item = (&'static str, String)> + 'a {
    let common_columns = |column: &&Column| common.contains(&format!("{}.{}", catalog.name, column.name));
    catalog.columns.iter().filter(common_columns).filter_map(|column| Some((column.name, value(column)?)))
}

/// Text in which the type `json` is written as it is since it became a keyword in 16.
fn uniform(sql: &str) -> String {
    format!(r#"replace(replace({sql}, '"pg_catalog"."json"', 'json'), '"json"', 'json')"#)
}

/// The SQL of a column's value, if it is compared.
fn value(column: &Column) -> Option<String> {
    let name = column.name;
    Some(match column.treatment {
        Treatment::Identity | Treatment::Skip | Treatment::Rights(_) => return None,
        Treatment::Value => format!("r.{name}::text"),
        Treatment::Present => format!("(r.{name} IS NOT NULL)::text"),
        Treatment::Sql(sql) => sql.to_owned(),
        Treatment::Object(catalog) => object(catalog, &format!("r.{name}")),
        // Most lists are absent, and beginning to sort one takes longer than everything else about a row.
        Treatment::Objects(catalog) => format!(
            "CASE WHEN r.{name} IS NOT NULL THEN (SELECT string_agg({}, ' ' ORDER BY u.place) \
             FROM unnest(r.{name}::oid[]) WITH ORDINALITY AS u (item, place)) END",
            object(catalog, "u.item")
        ),
        Treatment::Settings => format!(
            "CASE WHEN r.{name} IS NOT NULL THEN (SELECT string_agg(u.item, chr(10) ORDER BY u.item COLLATE \"C\") \
             FROM unnest(r.{name}) AS u (item)) END"
        ),
    })
}

/// The name of the object with an OID.
fn object(catalog: &str, oid: &str) -> String {
    let alias = match catalog {
        "pg_class" => "regclass",
        "pg_type" => "regtype",
        "pg_proc" => "regprocedure",
        "pg_operator" => "regoperator",
        "pg_authid" => "regrole",
        "pg_namespace" => "regnamespace",
        "pg_collation" => "regcollation",
        _ => {
            // It fails for an object that does not exist.
            return format!(
                "(pg_identify_object('pg_catalog.{catalog}'::regclass, NULLIF({oid}, 0), 0)).identity"
            );
        }
    };
    format!("{oid}::oid::{alias}::text")
}

/// The first OID that an object of users may have; `initdb` uses those before.
const FIRST_OF_USERS: u32 = 16384;

fn is_built_in(catalog: &Catalog) -> String {
    catalog.key.map_or("false".to_owned(), |key| format!("(r.{key} < {FIRST_OF_USERS})"))
}

/// The condition on the rows of a catalog.
pub(super) fn condition(catalog: &Catalog, built_in: BuiltIn) -> String {
    let mine = match (catalog.key, &catalog.built_in, built_in) {
        (None, ..) | (Some(_), Some(_), BuiltIn::All) => "true".to_owned(),
        (Some(key), None, _) => format!("r.{key} >= {FIRST_OF_USERS}"),
        (Some(key), Some(compared), BuiltIn::Changed) => {
            format!("(r.{key} >= {FIRST_OF_USERS} OR {MODIFIED} AND ({compared}))")
        }
    };
    match catalog.filter {
        None => mine,
        Some(filter) => format!("{mine} AND ({filter})"),
    }
}

/// The column with the rights on a row, and the SQL of those that it has without a list.
pub(super) fn column_of_rights(catalog: &Catalog) -> Option<(&'static str, &'static str)> {
    catalog.columns.iter().find_map(|column| match column.treatment {
        Treatment::Rights(default) => Some((column.name, default)),
        _ => None,
    })
}

/// The condition on rows with rights. Most objects, and nearly all columns, have no list: it would take long to look at each.
pub(super) fn condition_of_rights(catalog: &Catalog, column: &str, built_in: BuiltIn) -> String {
    let listed = format!("r.{column} IS NOT NULL");
    let mine = match (built_in, catalog.key) {
        (BuiltIn::All, Some(_)) => format!("({} OR {listed})", is_built_in(catalog)),
        (_, None) => listed,
        (BuiltIn::Changed, Some(key)) => {
            format!("{listed} AND (r.{key} >= {FIRST_OF_USERS} OR {MODIFIED})")
        }
    };
    match catalog.filter {
        None => mine,
        Some(filter) => format!("{mine} AND ({filter})"),
    }
}

fn exists(catalog: &Catalog, common: &CommonColumns) -> bool {
    let prefix = format!("{}.", catalog.name);
    common.range(prefix.clone()..).next().is_some_and(|column| column.starts_with(&prefix))
}

/// What the identity of an object in a schema for temporary objects matches, and that of a table that `PostgreSQL` itself
/// creates for large values. A schema's name comes first: other objects may be called like it.
const TEMPORARY: &str = r#"(^|[^."])"?pg_(toast|(toast_)?temp(_[0-9]+)?)"?[.]"#;
/// What the identity of such a schema itself matches, also with a right.
const TEMPORARY_SCHEMA: &str = r#"^"?pg_(toast_)?temp_[0-9]+"?(:|$)"#;

/// What is in each identity that one of the two matches: looking for it is much faster than matching.
const IN_TEMPORARY: &str = "pg_t";

/// Leaves out temporary objects, and tables for large values. The offset keeps the planner from naming rows that the query
/// leaves out.
fn without_temporary(query: &str) -> String {
    format!(
        "SELECT q.* FROM ({query} OFFSET 0) AS q WHERE strpos(q.identity, '{IN_TEMPORARY}') = 0 \
         OR q.identity !~ '{TEMPORARY}' AND q.identity !~ '{TEMPORARY_SCHEMA}'"
    )
}

#[cfg(test)]
mod tests {
    use super::super::definitions::CATALOGS;
    use super::*;

    fn catalog(name: &str) -> &'static Catalog {
        CATALOGS.iter().find(|catalog| catalog.name == name).unwrap()
    }

    fn common(columns: &[&str]) -> CommonColumns {
        columns.iter().map(|&column| column.to_owned()).collect()
    }

    #[test]
    fn only_columns_of_both_servers_are_compared() {
        let both = common(&["pg_proc.proname", "pg_proc.prosrc", "pg_proc.proowner"]);
        let query = rows(catalog("pg_proc"), &both, BuiltIn::Changed).unwrap();
        assert!(
            query.contains("COALESCE(r.proowner::oid::regrole::text, '')")
                && query.contains("r.prosrc::text")
        );
        assert!(!query.contains("prosqlbody"), "{query}");
    }

    #[test]
    fn catalog_of_one_server_alone_is_not_compared() {
        let both = common(&["pg_publication.pubname"]);
        assert_eq!(rows(catalog("pg_publication_namespace"), &both, BuiltIn::All), None);
    }

    #[test]
    fn built_in_rows_are_compared_if_a_later_transaction_changed_them() {
        let both = common(&["pg_ts_dict.dictinitoption"]);
        let query = rows(catalog("pg_ts_dict"), &both, BuiltIn::Changed).unwrap();
        assert!(query.contains("r.oid >= 16384 OR r.xmin::text::int8 > "), "{query}");
        let query = rows(catalog("pg_ts_dict"), &both, BuiltIn::All).unwrap();
        assert!(query.contains("WHERE true"), "a server that has not changed them has them too: {query}");
        let both = common(&["pg_constraint.conkey"]);
        let query = rows(catalog("pg_constraint"), &both, BuiltIn::All).unwrap();
        assert!(query.contains("WHERE r.oid >= 16384 AND"), "{query}");
    }

    #[test]
    fn rights_are_compared_with_those_that_an_object_had_at_first() {
        let both = common(&["pg_proc.proacl"]);
        let query = rights(catalog("pg_proc"), &both, BuiltIn::Changed).unwrap();
        assert!(query.contains("aclexplode(COALESCE(r.proacl, acldefault('f', r.proowner)))"), "{query}");
        assert!(query.contains("i.objsubid = 0), acldefault('f', r.proowner))"), "{query}");
        assert!(
            query.contains("WHERE r.proacl IS NOT NULL AND (r.oid >= 16384 OR r.xmin::text::int8 > "),
            "{query}"
        );
        let query = rights(catalog("pg_proc"), &both, BuiltIn::All).unwrap();
        assert!(query.contains("WHERE ((r.oid < 16384) OR r.proacl IS NOT NULL)"), "{query}");
        let without = common(&["pg_trigger.tgname"]);
        assert_eq!(rights(catalog("pg_trigger"), &without, BuiltIn::Changed), None);
    }

    /// By the statistics of `initdb` a server with 50,000 tables has hardly any.
    #[test]
    fn census_does_not_depend_on_the_statistics_of_the_catalogs() {
        assert!(BEGIN.contains("SET LOCAL enable_nestloop = off;"), "{BEGIN}");
    }

    #[test]
    fn rows_of_a_large_catalog_are_selected_by_their_identities() {
        let query = rows_with_identities("SELECT 1");
        assert!(
            query.starts_with("WITH initdb AS (")
                && query.contains("FROM (SELECT 1) AS s JOIN unnest($1::int8[])")
        );
    }

    #[test]
    fn absent_lists_are_not_sorted() {
        let both = common(&["pg_class.reloptions", "pg_constraint.conexclop"]);
        let query = rows(catalog("pg_class"), &both, BuiltIn::Changed).unwrap();
        assert!(query.contains("CASE WHEN r.reloptions IS NOT NULL THEN (SELECT string_agg("), "{query}");
        let query = rows(catalog("pg_constraint"), &both, BuiltIn::Changed).unwrap();
        assert!(query.contains("CASE WHEN r.conexclop IS NOT NULL THEN (SELECT string_agg("), "{query}");
    }

    #[test]
    fn only_what_is_in_a_schema_for_temporary_objects_is_left_out() {
        // The patterns mean the same to both.
        let patterns = [TEMPORARY, TEMPORARY_SCHEMA].map(|pattern| regex::Regex::new(pattern).unwrap());
        let is_left_out = |identity: &str| patterns.iter().any(|pattern| pattern.is_match(identity));
        for identity in [
            "\"pg_temp_3\".\"t\"",
            "pg_temp.t",
            "\"t_check\" on \"pg_temp_12\".\"t\"",
            "for \"pg_temp\".\"t\".\"id\"",
            "\"pg_toast\".\"pg_toast_16384\"",
            "\"pg_toast_temp_3\".\"pg_toast_16384\"",
            "\"public\".\"f\"(\"pg_temp_3\".\"t\")",
            "\"pg_temp_3\"",
            "\"pg_temp_3\": granted USAGE to PUBLIC",
        ] {
            assert!(is_left_out(identity) && identity.contains(IN_TEMPORARY), "{identity}");
        }
        for identity in [
            "\"app\".\"pg_temp_data\"",
            "\"app\".\"pg_temp\".\"id\"",
            "\"app\".\"pg_toast\".\"id\"",
            "\"pg_temp\"",
        ] {
            assert!(!is_left_out(identity), "{identity}");
        }
    }
}
