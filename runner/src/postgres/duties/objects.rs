//! The objects of a database that duties concern.

use tokio_postgres::Client;

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
    format!(include_str!("../sql/duty_indexes.sql"), database = rule.database)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_has_the_condition_on_the_database() {
        let rule = IndexRule { method: "^gist$", operator_class: "^a$", database: "d.encoding = 6" };
        let query = query(&rule);
        assert!(query.contains("AND (d.encoding = 6)"), "{query}");
        // Anything else in braces would have been a placeholder.
        assert!(!query.contains(['{', '}']), "{query}");
    }
}
