//! Settings of `ALTER ROLE ALL`, which hold in every session and which `pg_dumpall` leaves out.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::quote;

const QUERY: &str = "the settings of ALTER ROLE ALL";
const CHANGE: &str = "set a parameter with ALTER ROLE ALL";

/// The settings by name, with their values.
pub async fn settings_for_all(client: &Client) -> Result<Vec<(String, String)>, ServerError> {
    let sql = "SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1) \
               FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = 0 AND setrole = 0";
    let failed = ServerError::query(QUERY);
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
}

/// Sets a parameter for all roles.
pub async fn set_for_all(client: &mut Client, name: &str, value: &str) -> Result<(), ServerError> {
    let failed = ServerError::execute(CHANGE);
    alter_all(client, name, value).await.map_err(failed)?.commit().await.map_err(failed)
}

/// Why the server rejects a parameter for all roles, if it does; nothing is changed. A parameter that it does not know
/// is not reported.
pub async fn rejection_for_all(
    client: &mut Client,
    name: &str,
    value: &str,
) -> Result<Option<String>, ServerError> {
    let failed = ServerError::execute(CHANGE);
    match alter_all(client, name, value).await {
        Ok(transaction) => transaction.rollback().await.map(|()| None).map_err(failed),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(None),
        Err(error) if error.as_db_error().is_some() => Ok(Some(DatabaseError::from(error).to_string())),
        Err(error) => Err(failed(error)),
    }
}

/// Sets the parameter in a transaction, which has no effect unless it is committed.
async fn alter_all<'a>(
    client: &'a mut Client,
    name: &str,
    value: &str,
) -> Result<Transaction<'a>, tokio_postgres::Error> {
    let mut transaction = client.transaction().await?;
    let attempt = transaction.transaction().await?;
    // A list such as search_path would become one quoted name if it were given as a literal. For this transaction
    // alone: after default_transaction_read_only = on the session could not store the setting.
    let source = if attempt.execute("SELECT set_config($1, $2, true)", &[&name, &value]).await.is_ok() {
        attempt.commit().await?;
        "FROM CURRENT".to_owned()
    } else {
        // A parameter that can only be set for a new connection is not a list.
        attempt.rollback().await?;
        format!("TO {}", quote::literal(value))
    };
    let statement = format!("ALTER ROLE ALL SET {} {source}", quote::identifier(name));
    transaction.batch_execute(&statement).await?;
    Ok(transaction)
}
