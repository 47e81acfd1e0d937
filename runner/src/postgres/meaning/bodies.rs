//! Bodies of functions that the target's parser rejects: the dump's restore does not check them.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use crate::postgres::client::as_role::RoleSession;
use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::postgres::client::stored_settings::{OWN_SETTINGS, USERS_SETTINGS};
use crate::postgres::server::scratch::Scratch;

/// A role of every server whose only right is to read statistics.
const UNPRIVILEGED: &str = "pg_read_all_stats";

/// A function of a user.
struct Function {
    oid: u32,
    /// Qualified name with arguments.
    name: String,
}

/// Functions of a database on the scratch server whose body is not valid SQL there, with the server's error; `restored` is
/// connected to it. Only errors of syntax count: a body may name what exists only while the function runs.
pub async fn rejected_bodies(
    restored: &Client,
    scratch: &Scratch,
    database: &str,
) -> Result<Vec<String>, ServerError> {
    let mut rejected = rejected_plpgsql(restored).await?;
    rejected.extend(rejected_sql(restored, scratch, database).await?);
    rejected.sort();
    Ok(rejected)
}

/// Those in `plpgsql`. The validator parses their statements without analysing them, so it neither looks up names, except
/// for the types of variables, nor converts constants.
async fn rejected_plpgsql(restored: &Client) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query("bodies of functions in plpgsql");
    let functions = functions(restored, "plpgsql").await?;
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    // Types of variables are found on it.
    let begin = format!("SET check_function_bodies = on; {USERS_SETTINGS}");
    restored.batch_execute(&begin).await.map_err(failed)?;
    let validator = restored.prepare("SELECT pg_catalog.plpgsql_validator($1)").await.map_err(failed)?;
    let mut rejected = Vec::new();
    for function in functions {
        let answer = restored.query(&validator, &[&function.oid]).await.map(drop);
        rejected.extend(rejection(&function, answer).map_err(failed)?);
    }
    restored.batch_execute(OWN_SETTINGS).await.map_err(failed)?;
    Ok(rejected)
}

/// Those in `sql`. The validator analyses what it has parsed, and converts constants: to a type with a domain, that runs the
/// domain's check, which is code of users. So it has no rights.
async fn rejected_sql(
    restored: &Client,
    scratch: &Scratch,
    database: &str,
) -> Result<Vec<String>, ServerError> {
    let functions = functions(restored, "sql").await?;
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let session = RoleSession::new(scratch.connect(database).await?);
    let mut rejected = Vec::new();
    for function in functions {
        // The session has turned the check off for a function of its own.
        let query = format!(
            "SELECT CASE WHEN pg_catalog.set_config('check_function_bodies', 'on', true) = 'on' \
             THEN pg_catalog.fmgr_sql_validator({})::pg_catalog.text END",
            function.oid
        );
        let answer = session.value(UNPRIVILEGED, &query).await.map(drop);
        let failed = ServerError::query("bodies of functions in sql");
        rejected.extend(rejection(&function, answer).map_err(failed)?);
    }
    Ok(rejected)
}

/// Functions of users in a language that have a body as text, and are not an extension's.
async fn functions(client: &Client, language: &str) -> Result<Vec<Function>, ServerError> {
    let failed = ServerError::query("functions of users");
    let sql = "SELECT p.oid, p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
               WHERE l.lanname::text = $1 AND p.oid >= 16384 AND p.prosrc <> '' \
               AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
                 AND e.objid = p.oid AND e.deptype = 'e') ORDER BY p.oid";
    let rows = client.query(sql, &[&language]).await.map_err(failed)?;
    let read = |row: &Row| Ok(Function { oid: row.try_get(0)?, name: row.try_get::<_, Lossy>(1)?.0 });
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

/// What is shown of a function that a validator has rejected.
fn rejection(
    function: &Function,
    answer: Result<(), tokio_postgres::Error>,
) -> Result<Option<String>, tokio_postgres::Error> {
    match answer {
        Err(error) if error.code() == Some(&SqlState::SYNTAX_ERROR) => {
            Ok(Some(format!("{} ({})", function.name, DatabaseError::from(error))))
        }
        Err(error) if error.as_db_error().is_none() => Err(error),
        _ => Ok(None),
    }
}
