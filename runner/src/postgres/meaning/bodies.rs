//! Bodies of functions that the target's parser rejects: the dump's restore does not check them.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::postgres::client::session::{DEFAULT_SEARCH_PATH, SYSTEM_SEARCH_PATH};

/// Functions in `plpgsql` of the database that `scratch` is connected to whose body is not valid SQL for that server, with
/// its error.
///
/// Only for a scratch server. The validator compiles the function and parses its statements without analysing them, so
/// names are not looked up and no constants are converted, except for the types of variables. Functions in SQL are not
/// tried: their validator converts constants, and the check of a domain is code of users.
pub async fn rejected_bodies(scratch: &Client) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query("bodies of functions");
    let sql = "SELECT p.oid, p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
               WHERE l.lanname = 'plpgsql' AND p.oid >= 16384 \
               AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
                 AND e.objid = p.oid AND e.deptype = 'e') ORDER BY p.oid";
    let rows = scratch.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, u32>(0)?, row.try_get::<_, Lossy>(1)?.0));
    let functions: Vec<_> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
    // Types of variables are found on it.
    let begin = format!("SET check_function_bodies = on; {DEFAULT_SEARCH_PATH}");
    scratch.batch_execute(&begin).await.map_err(failed)?;
    let rejected = validate(scratch, functions).await.map_err(failed);
    scratch.batch_execute(SYSTEM_SEARCH_PATH).await.map_err(failed)?;
    rejected
}

async fn validate(
    scratch: &Client,
    functions: Vec<(u32, String)>,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut rejected = Vec::new();
    let validator = scratch.prepare("SELECT pg_catalog.plpgsql_validator($1)").await?;
    for (oid, name) in functions {
        match scratch.query(&validator, &[&oid]).await {
            Ok(_) => {}
            Err(error) if error.code() == Some(&SqlState::SYNTAX_ERROR) => {
                rejected.push(format!("{name} ({})", DatabaseError::from(error)));
            }
            // Such as a table that exists only while the function runs: the old version rejects it too.
            Err(error) if error.as_db_error().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rejected)
}
