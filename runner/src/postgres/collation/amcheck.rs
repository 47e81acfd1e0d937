//! Checks an index against its table with `amcheck`, and leaves nothing behind.

use tokio_postgres::{Client, Error};

use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::stored_settings::USERS_SETTINGS;

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

/// The qualified name of the function that checks an index against its table, and belongs to the extension: what another
/// role has put into the extension's schema would run as superuser.
const FUNCTION: &str = "SELECT format('%I.%I', n.nspname, p.proname) FROM pg_extension e \
     JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
       AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' \
     JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace \
     JOIN pg_authid o ON o.oid = p.proowner \
     WHERE e.extname = 'amcheck' AND p.proname = 'bt_index_check' AND o.rolsuper \
       AND p.proargtypes::text = concat('regclass'::regtype::oid, ' ', 'bool'::regtype::oid)";

/// Checks a B-tree index; `name` is its quoted and qualified name.
///
/// The extension that the check needs is created in a transaction that is rolled back. The functions of the index run
/// with the rights of the table's owner; see [`confines_functions`](super::indexes::confines_functions).
pub async fn check(client: &mut Client, name: &str) -> Result<CheckResult, Error> {
    let transaction = client.transaction().await?;
    // Its script names nothing of users there.
    let create = "CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog";
    if let Err(error) = transaction.batch_execute(create).await {
        transaction.rollback().await?;
        return Ok(CheckResult::Unavailable(DatabaseError::from(error).to_string()));
    }
    let Some(function) = transaction.query_opt(FUNCTION, &[]).await? else {
        transaction.rollback().await?;
        let why = "the installed version of the extension cannot compare an index with its table";
        return Ok(CheckResult::Unavailable(why.to_owned()));
    };
    let function: String = function.try_get(0)?;
    // Functions in indexes may need the schemas of users, and the formats that the database stores.
    transaction.batch_execute(USERS_SETTINGS).await?;
    let sql = format!("SELECT {function}($1::pg_catalog.text::pg_catalog.regclass, true)");
    let result = match transaction.execute(&sql, &[&name]).await {
        Ok(_) => CheckResult::Sound,
        Err(error) => CheckResult::Damaged(DatabaseError::from(error).to_string()),
    };
    transaction.rollback().await?;
    Ok(result)
}
