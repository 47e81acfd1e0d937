//! Which catalogs have rows to compare: most have none of users, and the queries of the rows take longer to plan than to run.

use super::definitions::Catalog;
use super::sql::{BuiltIn, column_of_rights, condition, condition_of_rights, with_initdb};

/// A query of one value: for each of these queries whether it has rows.
#[must_use]
pub fn any_of<'a>(queries: impl IntoIterator<Item = &'a str>) -> String {
    let exist: Vec<_> = queries.into_iter().map(|query| format!("EXISTS ({query})")).collect();
    with_initdb(&format!("SELECT ARRAY[{}]::bool[]", exist.join(", ")))
}

/// A query, for [`any_of`], that has a row if [`super::sql::rows`] has one with [`BuiltIn::Changed`].
#[must_use]
pub fn may_have_rows(catalog: &Catalog) -> String {
    format!("SELECT FROM pg_catalog.{} r WHERE {}", catalog.name, condition(catalog, BuiltIn::Changed))
}

/// The same for [`super::sql::rights`]; `None` if there are none on the rows of the catalog.
#[must_use]
pub fn may_have_rights(catalog: &Catalog) -> Option<String> {
    let (column, _) = column_of_rights(catalog)?;
    let condition = condition_of_rights(catalog, column, BuiltIn::Changed);
    Some(format!("SELECT FROM pg_catalog.{} r WHERE {condition}", catalog.name))
}

#[cfg(test)]
mod tests {
    use super::super::definitions::CATALOGS;
    use super::super::sql::{rights, rows};
    use super::*;

    #[test]
    fn catalog_is_looked_at_first_by_the_condition_on_its_rows() {
        let catalog = |name: &str| CATALOGS.iter().find(|catalog| catalog.name == name).unwrap();
        let both = ["pg_proc.proname", "pg_proc.proacl"].map(ToOwned::to_owned).into();
        let looked_at = [
            (rows(catalog("pg_proc"), &both, BuiltIn::Changed), Some(may_have_rows(catalog("pg_proc")))),
            (rights(catalog("pg_proc"), &both, BuiltIn::Changed), may_have_rights(catalog("pg_proc"))),
        ];
        for (rows, first) in looked_at {
            let (rows, first) = (rows.unwrap(), first.unwrap());
            let (_, condition) = first.split_once(" WHERE ").unwrap();
            assert!(rows.contains(&format!(" WHERE {condition} OFFSET 0)")), "{first}\n{rows}");
        }
        assert_eq!(may_have_rights(catalog("pg_trigger")), None);
        let query = any_of(["SELECT 1", "SELECT 2"]);
        assert!(query.ends_with("SELECT ARRAY[EXISTS (SELECT 1), EXISTS (SELECT 2)]::bool[]"), "{query}");
    }
}
