//! The objects of a database that duties concern.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Row};

use super::duty::{Duty, IndexRule, Objects};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;
use crate::postgres::collation::indexes::Index;

/// Whether the sizes of indexes are needed. To measure one waits for the locks on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sizes {
    Measured,
    Zero,
}

/// The names of the objects, in the database that `client` is connected to.
pub async fn names(client: &Client, duty: &Duty) -> Result<Vec<String>, ServerError> {
    match &duty.objects {
        Objects::Indexes(rule) => {
            let indexes = indexes(client, rule, Sizes::Zero).await?;
            Ok(indexes.iter().map(Index::qualified).collect())
        }
        Objects::Database(sql) | Objects::Server(sql) => strings(client, duty.id, sql).await,
    }
}

/// The places of those of the rules that name an index in the database that `client` is connected to, perhaps. Most name none.
pub async fn rules_in_use(client: &Client, rules: &[&IndexRule]) -> Result<BTreeSet<usize>, ServerError> {
    if rules.is_empty() {
        return Ok(BTreeSet::new());
    }
    let failed = ServerError::query("indexes that a release recommends to rebuild");
    let methods: Vec<_> = rules.iter().map(|rule| rule.method).collect();
    let classes: Vec<_> = rules.iter().map(|rule| rule.operator_class).collect();
    let rows = client.query(IN_USE, &[&methods, &classes]).await.map_err(failed)?;
    let place = |row: &Row| Ok(usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX));
    rows.iter().map(place).collect::<Result<_, _>>().map_err(failed)
}

const IN_USE: &str = include_str!("../sql/duty_rules_in_use.sql");

/// The indexes that a rule names, in the database that `client` is connected to.
pub async fn indexes(client: &Client, rule: &IndexRule, sizes: Sizes) -> Result<Vec<Index>, ServerError> {
    let failed = ServerError::query("indexes that a release recommends to rebuild");
    let measured = sizes == Sizes::Measured;
    let rows =
        client.query(&query(rule), &[&rule.method, &rule.operator_class, &measured]).await.map_err(failed)?;
    let mut indexes =
        rows.iter().map(|row| Index::read(row).map_err(failed)).collect::<Result<Vec<_>, _>>()?;
    indexes.sort();
    Ok(indexes)
}

fn query(rule: &IndexRule) -> String {
    format!(include_str!("../sql/duty_indexes.sql"), database = rule.database, index = rule.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise indexes would not be looked for.
    #[test]
    fn rule_is_in_use_by_the_conditions_on_its_indexes() {
        let rule = IndexRule { method: "", operator_class: "", database: "true", index: "true" };
        let query = query(&rule).replace("$1::text", "r.method").replace("$2::text", "r.operator_class");
        let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
        let in_use = IN_USE.split_whitespace().collect::<Vec<_>>().join(" ");
        let conditions = "c.relkind = 'i' AND i.indisvalid AND c.relpersistence <> 't' AND a.amname::text ~ r.method AND EXISTS \
                          (SELECT FROM pg_opclass o WHERE o.oid = ANY(i.indclass) AND o.opcname::text ~ r.operator_class)";
        assert!(query.contains(conditions) && in_use.contains(conditions), "{query}\n{in_use}");
    }

    #[test]
    fn query_has_the_conditions_on_the_database_and_on_the_index() {
        let rule = IndexRule {
            method: "^gist$",
            operator_class: "^a$",
            database: "d.encoding = 6",
            index: "i.indisunique",
        };
        let query = query(&rule);
        assert!(query.contains("AND (d.encoding = 6)"), "{query}");
        assert!(query.contains("AND (i.indisunique)"), "{query}");
        // Anything else in braces would have been a placeholder.
        assert!(!query.contains(['{', '}']), "{query}");
    }
}
