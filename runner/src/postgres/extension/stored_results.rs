//! What stores results of an extension's functions and operators: another version of the extension, or of a library that it uses,
//! may give others for the same rows, and queries then miss them. No server can be asked for that.

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings};

/// Extensions of `PostgreSQL` itself: what changes their results is a question to both servers, or in release notes.
const OF_POSTGRESQL: [&str; 21] = [
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "plpgsql",
    "seg",
    "tablefunc",
    "unaccent",
    "uuid-ossp",
];

/// Something that stores results of an extension.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct StoredResult {
    pub extension: String,
    /// The version of the extension in that database.
    pub version: String,
    /// What it is, with its qualified name.
    pub object: String,
}

/// Those of the database that `client` is connected to: indexes, generated columns and tables that are partitioned by them.
pub async fn stored_results(client: &Client) -> Result<Vec<StoredResult>, ServerError> {
    let extensions =
        strings(client, "the extensions of a database", "SELECT extname::text FROM pg_extension").await?;
    // Most databases have no other.
    if extensions.iter().all(|name| OF_POSTGRESQL.contains(&name.as_str())) {
        return Ok(Vec::new());
    }
    let failed = ServerError::query("stored results of extensions");
    let sql = "WITH uses AS ( \
                 SELECT d.classid, d.objid, e.extname, e.extversion FROM pg_depend d \
                 JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e' \
                 JOIN pg_extension e ON e.oid = m.refobjid \
                 WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) AND d.deptype = 'n' \
                 AND d.classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass) \
               ) \
               SELECT u.extname::text, u.extversion, format(CASE c.relkind WHEN 'i' THEN 'index %I.%I' \
                 ELSE 'partitions of %I.%I' END, n.nspname, c.relname) FROM uses u \
               JOIN pg_class c ON u.classid = 'pg_class'::regclass AND c.oid = u.objid \
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('i', 'p') \
               UNION SELECT u.extname::text, u.extversion, format('column %I.%I.%I', n.nspname, c.relname, a.attname) FROM uses u \
               JOIN pg_attrdef f ON u.classid = 'pg_attrdef'::regclass AND f.oid = u.objid \
               JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's' \
               JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 3";
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let all: Vec<StoredResult> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
    Ok(all.into_iter().filter(|it| !OF_POSTGRESQL.contains(&it.extension.as_str())).collect())
}

fn read(row: &Row) -> Result<StoredResult, tokio_postgres::Error> {
    let text = |column: usize| row.try_get::<_, Lossy>(column).map(|Lossy(text)| text);
    Ok(StoredResult { extension: text(0)?, version: text(1)?, object: text(2)? })
}
