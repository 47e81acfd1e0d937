//! Settings that are stored for roles and databases; above all those of `ALTER ROLE ALL`, which hold in every session and
//! which `pg_dumpall` leaves out.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row, Transaction};

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::query::Lossy;
use super::quote;

const QUERY: &str = "the settings of roles and databases";
const CHANGE: &str = "set a parameter with ALTER ROLE ALL";

/// What a stored setting is for, as text: a role, a database, a role in a database, or all roles.
pub const OWNER: &str = "concat_ws(' in ', 'role ' || quote_ident(r.rolname::text), 'database ' || quote_ident(d.datname::text), \
                         CASE WHEN r.oid IS NULL AND d.oid IS NULL THEN 'all roles' END)";
/// The stored settings, each as `setting`, in the form `name=value`.
pub const STORED: &str = "pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS setting \
                          LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase";

/// A setting that is stored for a role, a database or both.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredSetting {
    pub name: String,
    /// What it is stored for, as text.
    pub owner: String,
    pub value: String,
}

/// The settings by name, with their values.
pub async fn settings_for_all(client: &Client) -> Result<Vec<(String, String)>, ServerError> {
    let stored = stored(client, "s.setdatabase = 0 AND s.setrole = 0").await?;
    Ok(stored.into_iter().map(|it| (it.name, it.value)).collect())
}

/// The settings of databases and roles that name libraries for their sessions to load.
pub async fn stored_libraries(client: &Client) -> Result<Vec<StoredSetting>, ServerError> {
    let of_some = "(s.setdatabase <> 0 OR s.setrole <> 0)";
    stored(client, &format!("{of_some} AND setting ~ '^(session|local)_preload_libraries='")).await
}

async fn stored(client: &Client, condition: &str) -> Result<Vec<StoredSetting>, ServerError> {
    let sql = format!(
        "SELECT split_part(setting, '=', 1), {OWNER}, substr(setting, strpos(setting, '=') + 1) \
         FROM {STORED} WHERE {condition}"
    );
    let failed = ServerError::query(QUERY);
    let rows = client.query(&sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let text = |column: usize| row.try_get::<_, Lossy>(column).map(|Lossy(text)| text);
        Ok(StoredSetting { name: text(0)?, owner: text(1)?, value: text(2)? })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
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
    // The roles themselves are restored later.
    if ["role", "session_authorization"].contains(&name) {
        return Ok(None);
    }
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
    let transaction = client.transaction().await?;
    transaction.batch_execute(&statement(name, value)).await?;
    Ok(transaction)
}

/// Parameters that are lists of names (`GUC_LIST_QUOTE`): as one literal, a list would become one name.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// The value is given as it is stored, and not taken from this session, which some parameters would end.
fn statement(name: &str, value: &str) -> String {
    let values = if LISTS.contains(&name) { list_items(value) } else { vec![value.to_owned()] };
    let values: Vec<_> = values.iter().map(|value| quote::literal(value)).collect();
    format!("ALTER ROLE ALL SET {} TO {}", quote::identifier(name), values.join(", "))
}

/// The names of a list, which the server stores with quotes where they are necessary. An empty list has one empty name.
fn list_items(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = list.chars().peekable();
    while let Some(character) = rest.next() {
        let Some(item) = items.last_mut() else { break };
        match character {
            '"' if is_quoted && rest.peek() == Some(&'"') => item.extend(rest.next()),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => items.push(String::new()),
            character if !is_quoted && character.is_ascii_whitespace() => {}
            character => item.push(character),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::value("work_mem", "64MB", "\"work_mem\" TO '64MB'")]
    #[case::style("DateStyle", "sql, dmy", "\"DateStyle\" TO 'sql, dmy'")]
    #[case::list("search_path", "\"$user\", public", "\"search_path\" TO '$user', 'public'")]
    #[case::quoted("search_path", "\"a, \"\"b\"\"\",it's", "\"search_path\" TO 'a, \"b\"', 'it''s'")]
    #[case::empty_list("temp_tablespaces", "", "\"temp_tablespaces\" TO ''")]
    #[case::empty_name("search_path", "\"\"", "\"search_path\" TO ''")]
    fn parameter_for_all_roles_is_set_as_it_is_stored(
        #[case] name: &str,
        #[case] value: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(statement(name, value), format!("ALTER ROLE ALL SET {expected}"));
    }
}
