//! Finds what one server has and another lacks, or has with another definition.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

/// How many rows a catalog has, and a digest of them that does not depend on their order.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CatalogDigest {
    /// The catalog's name, or that of the rights on its rows.
    pub name: String,
    pub rows: u64,
    pub digest: String,
}

/// A row of a catalog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CatalogRow {
    /// What the row is called on every server.
    pub identity: String,
    /// What is compared, in the order of the census.
    pub fields: Vec<String>,
    /// The transaction that wrote it.
    pub xmin: u32,
    pub created_by: CreatedBy,
}

/// Who created what a row is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CreatedBy {
    Initdb,
    Users,
}

/// A row, without what it has.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fingerprint {
    /// The catalog's name, or that of the rights on its rows.
    pub catalog: String,
    pub identity: String,
    /// A digest of its fields.
    pub fields: i64,
}

/// A row that is not the same on the other server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The catalog's name, or that of the rights on its rows.
    pub catalog: String,
    pub identity: String,
    pub created_by: CreatedBy,
    pub change: Change,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// The other server does not have it.
    Missing,
    /// These columns of the catalog differ; none is known if only digests were compared.
    Columns(Vec<&'static str>),
}

/// The catalogs whose rows are not the same; `after` is of the other server.
#[must_use]
pub fn differing<'a>(before: &'a [CatalogDigest], after: &[CatalogDigest]) -> Vec<&'a str> {
    // What the source does not have cannot be lost.
    let differs = |digest: &&CatalogDigest| digest.rows > 0 && !after.contains(digest);
    before.iter().filter(differs).map(|digest| digest.name.as_str()).collect()
}

/// The catalogs whose rows have changed on one server, also those that had none.
#[must_use]
pub fn changed_catalogs<'a>(before: &[CatalogDigest], now: &'a [CatalogDigest]) -> BTreeSet<&'a str> {
    now.iter().filter(|digest| !before.contains(digest)).map(|digest| digest.name.as_str()).collect()
}

/// The rows of `source` that the other server lacks or has with other fields; `names` are those of the fields.
///
/// A row that the source alone has is not lost if the other server alone has one with the same fields: each version writes
/// some names in its own way. What `initdb` created on the other server is no such row.
#[must_use]
pub fn differences(
    catalog: &str,
    names: &[&'static str],
    source: &[CatalogRow],
    target: &[CatalogRow],
) -> Vec<Difference> {
    let mut by_identity = BTreeMap::<_, Vec<_>>::new();
    for row in target {
        by_identity.entry(row.identity.as_str()).or_default().push(&row.fields);
    }
    let known: BTreeSet<_> = source.iter().map(|row| row.identity.as_str()).collect();
    let mut unmatched = BTreeMap::<_, usize>::new();
    let may_be_renamed = |row: &&CatalogRow| {
        row.created_by == CreatedBy::Users && !row.fields.is_empty() && !known.contains(row.identity.as_str())
    };
    for row in target.iter().filter(may_be_renamed) {
        *unmatched.entry(&row.fields).or_default() += 1;
    }
    let mut is_renamed = |row: &CatalogRow| match unmatched.get_mut(&row.fields) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    let mut change = |row: &CatalogRow| {
        let Some(candidates) = by_identity.get(row.identity.as_str()) else {
            return (!is_renamed(row)).then_some(Change::Missing);
        };
        // An identity may have several rows: the one with the fewest differences is its own.
        let differing = candidates.iter().map(|fields| differing_fields(names, &row.fields, fields));
        differing.min_by_key(Vec::len).filter(|names| !names.is_empty()).map(Change::Columns)
    };
    let mut found = Vec::new();
    for row in source {
        found.extend(change(row).map(|change| Difference {
            catalog: catalog.to_owned(),
            identity: row.identity.clone(),
            created_by: row.created_by,
            change,
        }));
    }
    found
}

/// The rows of `before` that are not among those of `after`.
#[must_use]
pub fn changed_rows(before: &[Fingerprint], after: &[Fingerprint]) -> Vec<Difference> {
    let key = |row: &Fingerprint| (row.catalog.clone(), row.identity.clone());
    let mut by_identity = BTreeMap::<_, Vec<i64>>::new();
    for row in after {
        by_identity.entry(key(row)).or_default().push(row.fields);
    }
    let difference = |row: &Fingerprint| {
        let change = match by_identity.get(&key(row)) {
            None => Change::Missing,
            Some(fields) if fields.contains(&row.fields) => return None,
            Some(_) => Change::Columns(Vec::new()),
        };
        let (catalog, identity) = (row.catalog.clone(), row.identity.clone());
        // A fingerprint does not say who created the row.
        Some(Difference { catalog, identity, created_by: CreatedBy::Users, change })
    };
    before.iter().filter_map(difference).collect()
}

fn differing_fields(names: &[&'static str], one: &[String], other: &[String]) -> Vec<&'static str> {
    names
        .iter()
        .zip(one.iter().zip(other))
        .filter(|(_, (one, other))| one != other)
        .map(|(name, _)| *name)
        .collect()
}

/// Catalogs of what exists by itself. Rows of the others are about a row of one of these.
const OBJECTS: [&str; 20] = [
    "pg_am",
    "pg_class",
    "pg_collation",
    "pg_conversion",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_proc",
    "pg_publication",
    "pg_statistic_ext",
    "pg_subscription",
    "pg_ts_config",
    "pg_ts_dict",
    "pg_type",
];

/// Catalogs of the whole server, which every database shows.
const SHARED: [&str; 9] = [
    "pg_auth_members",
    "pg_authid",
    "pg_parameter_acl",
    "pg_replication_origin",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_tablespace",
    "rights:pg_parameter_acl",
    "rights:pg_tablespace",
];

impl Difference {
    /// Whether it is one of the server, which every database shows.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        SHARED.contains(&self.catalog.as_str())
    }
}

/// Leaves out what follows from another difference: the columns, constraints and comments of a table that is missing.
#[must_use]
pub fn without_consequences(differences: Vec<Difference>) -> Vec<Difference> {
    let missing: HashSet<String> = differences
        .iter()
        .filter(|difference| is_object(difference) && difference.change == Change::Missing)
        // Within `pg_catalog` names may be shown without their schema.
        .map(|difference| difference.identity.strip_prefix("\"pg_catalog\".").unwrap_or(&difference.identity))
        .map(ToOwned::to_owned)
        .collect();
    let follows = |difference: &Difference| {
        !missing.is_empty() && !is_object(difference) && mentions(&difference.identity, &missing)
    };
    differences.into_iter().filter(|difference| !follows(difference)).collect()
}

fn is_object(difference: &Difference) -> bool {
    OBJECTS.contains(&difference.catalog.as_str())
}

/// Whether an identity is about one of the objects: it has the object's name as a whole. There may be thousands of both, so
/// the parts of the identity are looked up.
fn mentions(identity: &str, objects: &HashSet<String>) -> bool {
    let is_boundary =
        |neighbour: Option<char>| neighbour.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '"'));
    let places = || identity.char_indices().map(|(place, _)| place);
    let starts = places().filter(|start| is_boundary(identity[..*start].chars().next_back()));
    let ends: Vec<_> =
        places().chain([identity.len()]).filter(|end| is_boundary(identity[*end..].chars().next())).collect();
    let mut parts = starts.flat_map(|start| ends.iter().filter_map(move |end| identity.get(start..*end)));
    parts.any(|part| objects.contains(part))
}

/// An identity without the quotes that its names do not need.
#[must_use]
pub fn readable(identity: &str) -> String {
    let is_plain = |name: &str| {
        let mut characters = name.chars();
        characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
            && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let mut readable = String::new();
    let mut rest = identity;
    while let Some((before, quoted)) = rest.split_once('"') {
        readable.push_str(before);
        // A quote within a name is doubled: such a name keeps its quotes, piece by piece.
        let Some((name, after)) = quoted.split_once('"') else {
            rest = quoted;
            readable.push('"');
            break;
        };
        let continues = before.is_empty() && readable.ends_with('"');
        if is_plain(name) && !after.starts_with('"') && !continues {
            readable.push_str(name);
        } else {
            readable.extend(["\"", name, "\""]);
        }
        rest = after;
    }
    readable.push_str(rest);
    readable
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(identity: &str, fields: &[&str]) -> CatalogRow {
        CatalogRow {
            identity: identity.into(),
            fields: fields.iter().map(|&field| field.into()).collect(),
            xmin: 1000,
            created_by: CreatedBy::Users,
        }
    }

    fn difference(catalog: &str, identity: &str, change: Change) -> Difference {
        Difference {
            catalog: catalog.into(),
            identity: identity.into(),
            created_by: CreatedBy::Users,
            change,
        }
    }

    #[test]
    fn row_is_missing_changed_or_the_same() {
        let source = [row("s.f()", &["a", "b"]), row("s.g()", &["a", "b"]), row("s.h()", &["a", "b"])];
        let target = [row("s.f()", &["a", "b"]), row("s.g()", &["a", "c"]), row("s.new()", &["x", "y"])];
        let found = differences("pg_proc", &["prosrc", "proconfig"], &source, &target);
        assert_eq!(
            found,
            [
                difference("pg_proc", "s.g()", Change::Columns(vec!["proconfig"])),
                difference("pg_proc", "s.h()", Change::Missing),
            ]
        );
    }

    #[test]
    fn row_that_the_other_server_names_differently_is_not_lost() {
        let source =
            [row("(s.t AS pg_catalog.json)", &["s.f(s.t)", "e"]), row("(s.t AS text)", &["s.g(s.t)", "e"])];
        let target = [row("(s.t AS json)", &["s.f(s.t)", "e"])];
        let found = differences("pg_cast", &["castfunc", "castcontext"], &source, &target);
        assert_eq!(found, [difference("pg_cast", "(s.t AS text)", Change::Missing)]);
    }

    #[test]
    fn row_of_users_is_lost_although_initdb_created_one_with_the_same_fields() {
        let source = [row("information_schema.audit", &["v", "postgres"])];
        let view = row("information_schema.views", &["v", "postgres"]);
        let target = [CatalogRow { created_by: CreatedBy::Initdb, ..view }];
        let found = differences("pg_class", &["relkind", "relowner"], &source, &target);
        assert_eq!(found, [difference("pg_class", "information_schema.audit", Change::Missing)]);
    }

    #[test]
    fn row_with_a_shared_identity_needs_one_equal_row() {
        let source = [row("a granted to b", &["true"])];
        let target = [row("a granted to b", &["false"]), row("a granted to b", &["true"])];
        assert_eq!(differences("pg_auth_members", &["admin_option"], &source, &target), []);
    }

    #[test]
    fn row_of_another_fingerprint_has_changed() {
        let row = |identity: &str, fields| Fingerprint {
            catalog: "pg_proc".into(),
            identity: identity.into(),
            fields,
        };
        let before = [row("s.f()", 1), row("s.g()", 2), row("s.h()", 3)];
        let after = [row("s.f()", 1), row("s.g()", 4), row("s.new()", 5)];
        assert_eq!(
            changed_rows(&before, &after),
            [
                difference("pg_proc", "s.g()", Change::Columns(Vec::new())),
                difference("pg_proc", "s.h()", Change::Missing),
            ]
        );
    }

    #[test]
    fn catalogs_with_other_rows_or_digests_are_looked_at() {
        let digest =
            |name: &str, rows, digest: &str| CatalogDigest { name: name.into(), rows, digest: digest.into() };
        let before = [digest("pg_proc", 2, "7"), digest("pg_type", 1, "8"), digest("pg_cast", 0, "0")];
        let after = [digest("pg_proc", 3, "9"), digest("pg_type", 1, "8"), digest("pg_cast", 1, "5")];
        assert_eq!(differing(&before, &after), ["pg_proc"]);
    }

    #[test]
    fn catalog_that_had_no_rows_has_changed_when_it_has_one() {
        let digest =
            |name: &str, rows, digest: &str| CatalogDigest { name: name.into(), rows, digest: digest.into() };
        let before = [digest("pg_proc", 2, "7"), digest("pg_cast", 0, "0"), digest("pg_type", 1, "8")];
        let now = [digest("pg_proc", 1, "6"), digest("pg_cast", 1, "5"), digest("pg_type", 1, "8")];
        assert_eq!(changed_catalogs(&before, &now), BTreeSet::from(["pg_cast", "pg_proc"]));
    }

    #[test]
    fn identity_is_shown_with_the_quotes_that_it_needs() {
        assert_eq!(readable("\"pg_catalog\".\"lost\"(integer)"), "pg_catalog.lost(integer)");
        assert_eq!(readable("\"public\".\"Mixed\".\"a b\""), "public.\"Mixed\".\"a b\"");
        assert_eq!(readable("\"s\".\"a\"\"b\""), "s.\"a\"\"b\"");
        assert_eq!(readable("16400"), "16400");
    }

    #[test]
    fn what_belongs_to_a_missing_table_is_not_named() {
        let table = difference("pg_class", "\"information_schema\".\"t\"", Change::Missing);
        let other = difference("pg_attribute", "\"information_schema\".\"t2\".\"a\"", Change::Missing);
        let function = difference("pg_proc", "\"pg_catalog\".\"größe\"(integer, text)", Change::Missing);
        let comment = "function \"größe\"(integer, text)";
        let found = without_consequences(vec![
            table.clone(),
            function.clone(),
            difference("pg_description", comment, Change::Missing),
            difference("pg_attribute", "\"information_schema\".\"t\".\"a\"", Change::Missing),
            difference("pg_constraint", "\"t_pkey\" on \"information_schema\".\"t\"", Change::Missing),
            other.clone(),
        ]);
        assert_eq!(found, [table, function, other]);
    }
}
