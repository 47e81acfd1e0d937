//! How something that depends on changed rules is recognised in a catalog.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::changes::RuleChanges;
use super::versions::{DEFAULT_COLLATION, oids};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings_with;
use crate::postgres::references::stored_zones::with_stored_functions;

/// How something that depends on changes is recognised in a catalog, as query parameters.
#[derive(Clone, Debug)]
pub struct Dependents {
    /// OIDs of collations that may sort differently.
    pub reordered: Vec<u32>,
    /// A regular expression for stored expressions (`{OPEXPR :opno 664 … :inputcollid 100 …}`) whose result may change.
    pub pattern: String,
    /// Extensions whose operator classes depend on what has changed.
    pub extensions: Vec<&'static str>,
    /// Whether words and trigrams may be determined differently.
    pub words: bool,
    /// OIDs of text search dictionaries that may give other lexemes.
    pub dictionaries: Vec<u32>,
}

impl Dependents {
    /// In the database that `client` is connected to, on a server of that major version.
    pub async fn of(changes: &RuleChanges, client: &Client, major: u32) -> Result<Self, ServerError> {
        let reordered = oids(&changes.collations);
        let letters: Vec<u32> = reordered.iter().copied().chain(changes.letters()).collect();
        let dictionaries: Vec<u32> = changes.dictionaries.iter().map(|dictionary| dictionary.oid).collect();
        let (unicode, words) = (changes.has_other_unicode(), changes.words);
        let (zones, every_zone) = (&changes.zones, changes.every_zone);
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&reordered, &letters, &unicode, &words, &dictionaries, zones, &every_zone];
        let sql = with_stored_functions(include_str!("../sql/dependent_expressions.sql"), major);
        let what = "functions that depend on rules of text and time";
        let pattern = strings_with(client, what, &sql, &parameters).await?.concat();
        let extensions = extensions(words, &letters);
        Ok(Self { reordered, pattern, extensions, words, dictionaries })
    }
}

/// Extensions whose operator classes depend on what has changed; `letters` has the collations whose letters may differ.
/// Whatever collation a column of citext has, its letters are folded by the database's default.
fn extensions(words: bool, letters: &[u32]) -> Vec<&'static str> {
    let trigrams = words.then_some("pg_trgm");
    let folded = letters.contains(&DEFAULT_COLLATION).then_some("citext");
    trigrams.into_iter().chain(folded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn citext_depends_on_the_default_of_the_database_alone() {
        assert_eq!(extensions(false, &[DEFAULT_COLLATION]), ["citext"]);
        assert_eq!(extensions(true, &[DEFAULT_COLLATION, 16400]), ["pg_trgm", "citext"]);
        assert!(extensions(false, &[16400]).is_empty());
    }

    /// The numbers of the parameters in the file.
    #[test]
    fn query_has_as_many_parameters_as_it_is_given() {
        let sql = with_stored_functions(include_str!("../sql/dependent_expressions.sql"), 17);
        assert!((1..=7).all(|number| sql.contains(&format!("${number}::"))), "{sql}");
        assert!(!sql.contains("$8"));
    }
}
