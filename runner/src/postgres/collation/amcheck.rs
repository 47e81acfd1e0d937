//! Checks an index against its table with `amcheck`, and leaves nothing behind.

use tokio_postgres::{Client, Error};

use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::session::{DEFAULT_SEARCH_PATH, SYSTEM_SEARCH_PATH};

/// The result for one index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckResult {
    /// Every row of the table is in the index, and in order.
    Sound,
    /// Why it is not, as `amcheck` reports it.
    Damaged(String),
    /// Why `amcheck` cannot be used on this server.
    Unavailable(String),
}

/// Checks a B-tree index; `name` is its quoted and qualified name.
///
/// The extension that the check needs is created in a transaction that is rolled back.
pub async fn check(client: &mut Client, name: &str) -> Result<CheckResult, Error> {
    let transaction = client.transaction().await?;
    // The extension has no fixed schema, and functions in indexes may need the schemas of users.
    let create = format!("{DEFAULT_SEARCH_PATH}; CREATE EXTENSION IF NOT EXISTS amcheck");
    if let Err(error) = transaction.batch_execute(&create).await {
        transaction.rollback().await?;
        return Ok(CheckResult::Unavailable(DatabaseError::from(error).to_string()));
    }
    transaction.batch_execute(SYSTEM_SEARCH_PATH).await?;
    let schema = "SELECT quote_ident(n.nspname::text) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
                  WHERE e.extname = 'amcheck'";
    let schema: String = transaction.query_one(schema, &[]).await?.try_get(0)?;
    transaction.batch_execute(DEFAULT_SEARCH_PATH).await?;
    let sql = format!("SELECT {schema}.bt_index_check($1::pg_catalog.text::pg_catalog.regclass, true)");
    let result = match transaction.execute(&sql, &[&name]).await {
        Ok(_) => CheckResult::Sound,
        Err(error) => CheckResult::Damaged(DatabaseError::from(error).to_string()),
    };
    transaction.rollback().await?;
    Ok(result)
}
