//! The functions of libraries that a database calls.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Row};

use super::error::ServerError;
use super::query::Lossy;

/// A function of a library.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Symbol {
    pub library: String,
    pub name: String,
    /// The extension that calls it.
    pub extension: Option<String>,
}

/// Those that functions in the database call, which `client` is connected to, without the server's own.
pub async fn symbols(client: &Client) -> Result<BTreeSet<Symbol>, ServerError> {
    let failed = ServerError::query("functions of libraries");
    let sql = "SELECT DISTINCT p.probin, p.prosrc, e.extname::text \
               FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c' \
               LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' \
               LEFT JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE p.probin IS NOT NULL AND p.oid >= 16384";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        Ok(Symbol {
            library: row.try_get::<_, Lossy>(0)?.0,
            name: row.try_get::<_, Lossy>(1)?.0,
            extension: row.try_get::<_, Option<Lossy>>(2)?.map(|name| name.0),
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

/// Whether the server itself, which `client` is connected to, finds the function of a library: it looks as before a call, and
/// changes nothing.
pub async fn is_found(client: &Client, symbol: &Symbol) -> Result<bool, ServerError> {
    let sql = "SELECT pg_catalog.fmgr_c_validator(p.oid) FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang AND l.lanname = 'c' \
               WHERE p.probin = $1 AND p.prosrc = $2 AND p.oid >= 16384 LIMIT 1";
    match client.execute(sql, &[&symbol.library, &symbol.name]).await {
        Ok(_) => Ok(true),
        Err(error) if error.as_db_error().is_some() => Ok(false),
        Err(error) => Err(ServerError::query("a function of a library")(error)),
    }
}
