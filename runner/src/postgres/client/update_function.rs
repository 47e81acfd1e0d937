//! Runs the function by which an extension completes its update, and which a catalog entry names.
//!
//! It runs as superuser, so it must be the extension's own: a superuser owns it, and the extension has it as a member. A name
//! does not say that by the time that it is executed: any role that may create functions in the schema can add one that fits
//! the call better, and the owner of the schema can rename it. A view stores the function itself. So the call is written into a
//! temporary view, what it is bound to is examined, and the view is executed, in one transaction.
//!
//! The function's own code finds nothing by an unqualified name but what is built in: `search_path` is `pg_catalog, pg_temp`.

use pgops_api::postgresversion::FunctionName;
use pgops_api::session_options::{SessionKind, session_options};
use tokio_postgres::{Client, Row};

use super::database_error::DatabaseError;
use super::error::ServerError;
use super::extensions::LOCK_TIMEOUT;
use super::query::{Lossy, strings_with};
use super::quote::identifier;
use super::session::Superuser;

/// What became of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RunResult {
    Succeeded,
    /// Why it was not run, or failed.
    Refused(String),
}

/// A function that the view calls.
#[derive(Debug, Eq, PartialEq)]
struct Bound {
    signature: String,
    is_member: bool,
    is_of_superuser: bool,
}

/// Runs `function` of `extension` in a database of a server of `major`.
pub async fn run(
    superuser: &Superuser,
    host: &str,
    major: u32,
    database: &str,
    extension: &str,
    function: &FunctionName,
) -> Result<RunResult, ServerError> {
    let options = format!("{} {LOCK_TIMEOUT}", session_options(SessionKind::Program, major));
    let client = superuser.connect_with(host, database, &options).await?;
    // Ends with the session, as nothing is committed before it has succeeded.
    begin(&client).await?;
    let schemas = schemas(&client, extension, &function.name).await?;
    let schema = match choose(schemas, extension, function) {
        Ok(schema) => schema,
        Err(why) => return Ok(RunResult::Refused(why)),
    };
    if let Err(error) = client.batch_execute(&view(&schema, &function.name)).await {
        return Ok(RunResult::Refused(DatabaseError::from(error).to_string()));
    }
    if let Err(why) = check(&bound(&client, extension).await?, extension) {
        return Ok(RunResult::Refused(why));
    }
    match client.batch_execute(RUN).await {
        Ok(()) => Ok(RunResult::Succeeded),
        Err(error) => Ok(RunResult::Refused(DatabaseError::from(error).to_string())),
    }
}

async fn begin(client: &Client) -> Result<(), ServerError> {
    let statements = "BEGIN; SET LOCAL search_path = pg_catalog, pg_temp";
    let failed = ServerError::execute("begin a transaction for the update function of an extension");
    client.batch_execute(statements).await.map_err(failed)
}

async fn schemas(client: &Client, extension: &str, name: &str) -> Result<Vec<String>, ServerError> {
    let sql = include_str!("../sql/update_function_schemas.sql");
    strings_with(client, "the update function of an extension", sql, &[&extension, &name]).await
}

/// The schema of the function, or why it is not known.
fn choose(schemas: Vec<String>, extension: &str, function: &FunctionName) -> Result<String, String> {
    let mut schemas = schemas;
    if let Some(schema) = &function.schema {
        schemas.retain(|found| found == schema);
    }
    match <[String; 1]>::try_from(schemas) {
        Ok([schema]) => Ok(schema),
        Err(none) if none.is_empty() => {
            Err(format!("extension \"{extension}\" has no function {function} in this database"))
        }
        Err(several) => Err(format!(
            "extension \"{extension}\" has a function {function} in each of the schemas {}: name one with it",
            several.join(", ")
        )),
    }
}

/// A column of a view cannot be of type `void`.
fn view(schema: &str, name: &str) -> String {
    format!(
        "CREATE TEMPORARY VIEW pgops_update_function AS SELECT {}.{}() IS NULL AS is_null",
        identifier(schema),
        identifier(name)
    )
}

const RUN: &str = "SELECT is_null FROM pg_temp.pgops_update_function; \
                   DROP VIEW pg_temp.pgops_update_function; COMMIT";

async fn bound(client: &Client, extension: &str) -> Result<Vec<Bound>, ServerError> {
    let failed = ServerError::query("the update function of an extension");
    let sql = include_str!("../sql/update_function_bound.sql");
    let rows = client.query(sql, &[&extension]).await.map_err(failed)?;
    let read = |row: &Row| {
        Ok(Bound {
            signature: row.try_get::<_, Lossy>(0)?.0,
            is_member: row.try_get(1)?,
            is_of_superuser: row.try_get(2)?,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}

/// Why the call must not be executed.
fn check(bound: &[Bound], extension: &str) -> Result<(), String> {
    if bound.is_empty() {
        return Err(format!("the call is not bound to a function of extension \"{extension}\""));
    }
    for Bound { signature, is_member, is_of_superuser } in bound {
        if !is_member {
            return Err(format!(
                "the call would reach {signature}, which does not belong to extension \"{extension}\": find out who has created it"
            ));
        }
        if !is_of_superuser {
            return Err(format!(
                "{signature} belongs to a role that is not a superuser, and would run as one"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(text: &str) -> FunctionName {
        text.parse().unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn update_function_is_found_in_the_extensions_schema() {
        let choose = |schemas: &[&str], text: &str| choose(names(schemas), "ledger", &function(text));
        assert_eq!(choose(&["accounts"], "upgrade").as_deref(), Ok("accounts"));
        assert_eq!(choose(&["accounts", "books"], "books.upgrade").as_deref(), Ok("books"));
        assert!(choose(&["accounts"], "books.upgrade").unwrap_err().contains("no function books.upgrade"));
        assert!(choose(&[], "upgrade").unwrap_err().contains("no function upgrade"));
        assert!(choose(&["accounts", "books"], "upgrade").unwrap_err().contains("accounts, books"));
    }

    #[test]
    fn update_function_is_called_by_its_quoted_name() {
        assert!(view("a\"b", "upgrade").contains(" AS SELECT \"a\"\"b\".\"upgrade\"() IS NULL"));
    }

    #[test]
    fn only_the_extensions_own_function_of_a_superuser_is_run() {
        let bound =
            |is_member, is_of_superuser| Bound { signature: "s.f()".into(), is_member, is_of_superuser };
        assert_eq!(check(&[bound(true, true)], "ledger"), Ok(()));
        assert!(check(&[], "ledger").is_err());
        let foreign = check(&[bound(true, true), bound(false, true)], "ledger").unwrap_err();
        assert!(
            foreign.contains("would reach s.f(), which does not belong to extension \"ledger\""),
            "{foreign}"
        );
        assert!(check(&[bound(true, false)], "ledger").unwrap_err().contains("not a superuser"));
    }
}
