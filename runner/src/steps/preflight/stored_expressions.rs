//! Expressions that tables store as the server's parser has read them (`pg_node_tree`), such as the row filters of
//! `pglogical`. A dump writes those of the system catalogs as text; those in tables are copied, and no other major version
//! can read them: `pglogical` then fails with "unrecognized token" when it replicates a row.

use tokio_postgres::Client;

use crate::postgres::client::as_role::RoleSession;
use crate::postgres::client::error::ServerError;
use crate::upgrade::{Finding, Named};

/// The tables of the current database that have such columns: owner, name, and a condition that is true of a row with a
/// value.
const TABLES: &str = "SELECT o.rolname::text, format('%I.%I', n.nspname, c.relname), \
     string_agg(format('%I IS NOT NULL', a.attname), ' OR ' ORDER BY a.attnum) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_authid o ON o.oid = c.relowner \
     JOIN pg_attribute a ON a.attrelid = c.oid \
     WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.oid >= 16384 AND NOT a.attisdropped \
     AND a.atttypid = 'pg_catalog.pg_node_tree'::regtype GROUP BY 1, 2 ORDER BY 1, 2";

/// The tables with such values in the database that `client` is connected to. The session ends with it.
pub async fn read(client: Client, database: &str) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query("tables with stored expressions");
    let tables = client.query_typed(TABLES, &[]).await.map_err(failed)?;
    // Planning a query of a table evaluates the predicates of its indexes.
    let session = RoleSession::new(client);
    let mut found = Vec::new();
    for table in tables {
        let column = |index| table.try_get::<_, String>(index).map_err(failed);
        let (owner, name, condition) = (column(0)?, column(1)?, column(2)?);
        let query = format!("SELECT count(*)::text FROM ONLY {name} WHERE {condition}");
        let rows = session.value(&owner, &query).await.map_err(ServerError::query("stored expressions"))?;
        let rows = rows.filter(|rows| rows != "0");
        found.extend(rows.map(|rows| format!("{name} ({rows} rows) in \"{database}\"")));
    }
    Ok(found)
}

/// One finding for the tables of all databases.
pub fn finding(tables: &Named) -> Option<Finding> {
    (tables.count() > 0).then(|| {
        let text = format!(
            "expressions in columns of type pg_node_tree, which no other major version can read; note them (pg_get_expr), \
             remove them, and store them again after the upgrade. Row filters of pglogical: \
             pglogical.replication_set_remove_table before the upgrade, and replication_set_add_table afterwards: {tables}"
        );
        Finding::new("stored-expression", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_expressions_block_and_are_named_with_their_tables() {
        assert_eq!(finding(&Named::default()), None);
        let table = "pglogical.replication_set_table (1 rows) in \"shop\"".to_owned();
        let found = finding(&std::iter::once(table).collect()).unwrap();
        assert!(found.blocks() && found.text.ends_with("(1 rows) in \"shop\""), "{found}");
    }
}
