//! How the system catalogs are compared, as data: `catalogs.tsv` has the catalogs, `columns.tsv` every column of every
//! catalog of every major version.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A catalog whose rows are compared.
#[derive(Debug)]
pub struct Catalog {
    pub name: &'static str,
    /// What its rows are, in the plural.
    pub kind: &'static str,
    /// The column with the OID of the object that a row is about. Rows about what `initdb` created are compared only if
    /// [`Self::built_in`] says so. `None` if all rows are compared.
    pub key: Option<&'static str>,
    /// SQL: what the row is called on every server.
    pub identity: String,
    /// SQL: which of the rows that `initdb` created and a later transaction has changed are compared.
    pub built_in: Option<String>,
    /// SQL: which rows are compared at all.
    pub filter: Option<&'static str>,
    pub columns: Vec<Column>,
}

/// A column of a catalog.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub treatment: Treatment,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Treatment {
    /// `identity`: it is part of the identity.
    Identity,
    /// `value`: as text.
    Value,
    /// `object:CATALOG`: an OID, by the name of its object.
    Object(&'static str),
    /// `objects:CATALOG`: a list of OIDs, by the names of their objects.
    Objects(&'static str),
    /// `settings`: a list whose order has no meaning.
    Settings,
    /// `rights:SQL`: an access control list; the SQL is the list that an object has without one. What is granted beyond
    /// that list, and what is revoked from it, are rows of their own.
    Rights(&'static str),
    /// `present`: only whether there is one.
    Present,
    /// `sql:SQL`: by an expression of text.
    Sql(&'static str),
    /// `skip`: it is not compared.
    Skip,
}

impl Treatment {
    fn parse(text: &'static str) -> Option<Self> {
        Some(match text.split_once(':') {
            None => match text {
                "identity" => Self::Identity,
                "value" => Self::Value,
                "settings" => Self::Settings,
                "present" => Self::Present,
                "skip" => Self::Skip,
                _ => return None,
            },
            Some(("object", catalog)) => Self::Object(catalog),
            Some(("objects", catalog)) => Self::Objects(catalog),
            Some(("rights", sql)) => Self::Rights(sql),
            Some(("sql", sql)) => Self::Sql(sql),
            Some(_) => return None,
        })
    }
}

const CATALOGS_TSV: &str = include_str!("catalogs.tsv");
const COLUMNS_TSV: &str = include_str!("columns.tsv");

/// All catalogs that are compared.
pub static CATALOGS: LazyLock<Vec<Catalog>> = LazyLock::new(|| {
    let mut columns = columns();
    lines(CATALOGS_TSV).filter_map(|fields| catalog(&fields, &mut columns)).collect()
});

/// The fields of each line that is not a comment.
fn lines(tsv: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    tsv.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// The columns by catalog.
fn columns() -> BTreeMap<&'static str, Vec<Column>> {
    let mut columns = BTreeMap::<_, Vec<_>>::new();
    for fields in lines(COLUMNS_TSV) {
        if let [catalog, name, _majors, treatment, ..] = fields[..]
            && let Some(treatment) = Treatment::parse(treatment)
        {
            columns.entry(catalog).or_default().push(Column { name, treatment });
        }
    }
    columns
}

fn catalog(fields: &[&'static str], columns: &mut BTreeMap<&'static str, Vec<Column>>) -> Option<Catalog> {
    let [name, kind, key, identity, rest @ ..] = fields else { return None };
    let text = |index: usize| rest.get(index).copied().filter(|text| !text.is_empty());
    let identity = match *identity {
        "object" => format!("(pg_identify_object('{name}'::regclass, r.oid, 0)).identity"),
        sql => sql.to_owned(),
    };
    let built_in = match text(0) {
        None | Some("no") => None,
        Some("yes") => Some("true".to_owned()),
        Some(sql) => Some(sql.to_owned()),
    };
    Some(Catalog {
        name,
        kind,
        key: Some(*key).filter(|key| !key.is_empty()),
        identity,
        built_in,
        filter: text(1),
        columns: columns.remove(name)?,
    })
}

/// Whether the data knows a column, given as `catalog.column`.
#[must_use]
pub fn is_known(column: &str) -> bool {
    static KNOWN: LazyLock<std::collections::BTreeSet<String>> = LazyLock::new(|| {
        lines(COLUMNS_TSV)
            .filter_map(|fields| Some(format!("{}.{}", fields.first()?, fields.get(1)?)))
            .collect()
    });
    KNOWN.contains(column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_of_the_data_is_used() {
        for fields in lines(COLUMNS_TSV) {
            assert!(fields.len() >= 4 && Treatment::parse(fields[3]).is_some(), "{fields:?}");
        }
        assert_eq!(CATALOGS.len(), lines(CATALOGS_TSV).count());
    }

    #[test]
    fn no_column_is_left_out_without_a_reason() {
        for fields in lines(COLUMNS_TSV) {
            let needs_reason = fields[3] == "skip" || fields[3] == "present";
            assert!(!needs_reason || fields.len() == 5, "{fields:?} has no reason");
        }
    }

    #[test]
    fn catalog_that_is_not_compared_has_only_columns_with_a_reason() {
        let compared: BTreeSet<_> = CATALOGS.iter().map(|catalog| catalog.name).collect();
        for fields in lines(COLUMNS_TSV).filter(|fields| !compared.contains(fields[0])) {
            assert_eq!(fields[3], "skip", "{fields:?}");
        }
    }

    #[test]
    fn references_name_catalogs() {
        let known: BTreeSet<_> = lines(COLUMNS_TSV).map(|fields| fields[0]).collect();
        for column in CATALOGS.iter().flat_map(|catalog| &catalog.columns) {
            if let Treatment::Object(catalog) | Treatment::Objects(catalog) = column.treatment {
                assert!(known.contains(catalog), "{}: {catalog}", column.name);
            }
        }
    }

    #[test]
    fn column_is_known_by_its_catalog() {
        assert!(is_known("pg_proc.prosrc") && is_known("pg_subscription.subfailover"));
        assert!(!is_known("pg_proc.prosrc2"));
    }
}
