//! Proves an index against its table, and leaves nothing of the proof behind.

use pgops_api::display_chain;
use tokio_postgres::{Client, Error};

use crate::postgres::client::session::{EVERYBODYS_PATH, SAFE_PATH};

/// What the proof came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Every row of the table is in the index, and in order.
    Sound,
    /// It is not.
    Damaged(String),
    /// The server has no `amcheck`, or does not let it be used.
    Unavailable(String),
}

/// Checks a B-tree index; `name` is its quoted and qualified name.
///
/// The extension that it takes is made in a transaction that is rolled back.
pub async fn check(client: &mut Client, name: &str) -> Result<Verdict, Error> {
    let transaction = client.transaction().await?;
    // The extension has no schema of its own, and functions in indexes may need those of users.
    let create = format!("{EVERYBODYS_PATH}; CREATE EXTENSION IF NOT EXISTS amcheck");
    if let Err(error) = transaction.batch_execute(&create).await {
        transaction.rollback().await?;
        return Ok(Verdict::Unavailable(display_chain(&error)));
    }
    transaction.batch_execute(SAFE_PATH).await?;
    let schema = "SELECT quote_ident(n.nspname::text) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace \
                  WHERE e.extname = 'amcheck'";
    let schema: String = transaction.query_one(schema, &[]).await?.try_get(0)?;
    transaction.batch_execute(EVERYBODYS_PATH).await?;
    let sql = format!("SELECT {schema}.bt_index_check($1::pg_catalog.text::pg_catalog.regclass, true)");
    let verdict = match transaction.execute(&sql, &[&name]).await {
        Ok(_) => Verdict::Sound,
        Err(error) => Verdict::Damaged(display_chain(&error)),
    };
    transaction.rollback().await?;
    Ok(verdict)
}
