//! Indexes whose access method is an extension's. `PostgreSQL` cannot tell whether another version of the extension still reads
//! them, nor does `pg_upgrade` carry what they keep outside their own files: they stay valid, and queries fail or miss rows.

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// How an access method keeps its indexes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Storage {
    /// In the files of the relation, in one format for all versions.
    Stable,
    /// In the files of the relation; another version of the extension may have another format, or have damaged them.
    Versioned,
    /// In files of its own in the data directory, which `pg_upgrade` does not carry.
    Outside,
}

/// What is known of access methods. Others are [`Storage::Versioned`]: pgvector 0.3.1 asks to build indexes of 0.2.7 and 0.3.0
/// again (its CHANGELOG.md), and `VectorChord` 1.0 does not read those of 0.5.
const KNOWN: &[(&str, Storage)] = &[
    // contrib/bloom
    ("bloom", Storage::Stable),
    // https://github.com/pgroonga/pgroonga: files that begin with "pgrn", in the directory of the database.
    ("pgroonga", Storage::Outside),
    // https://github.com/tensorchord/pgvecto.rs: the directory pg_vectors.
    ("vectors", Storage::Outside),
];

/// How the access method of that name keeps its indexes.
#[must_use]
pub fn storage(method: &str) -> Storage {
    KNOWN.iter().find(|(name, _)| *name == method).map_or(Storage::Versioned, |(_, storage)| *storage)
}

/// The indexes of an access method in one database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtensionIndexes {
    pub method: String,
    pub extension: String,
    /// The version of the extension in that database.
    pub version: String,
    /// Qualified names.
    pub names: Vec<String>,
}

/// Those of the database that `client` is connected to.
pub async fn extension_indexes(client: &Client) -> Result<Vec<ExtensionIndexes>, ServerError> {
    let sql = "SELECT m.amname::text, e.extname::text, e.extversion, format('%I.%I', n.nspname, c.relname) FROM pg_class c \
               JOIN pg_am m ON m.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_depend d ON d.classid = 'pg_am'::regclass AND d.objid = m.oid AND d.deptype = 'e' \
               JOIN pg_extension e ON e.oid = d.refobjid \
               WHERE c.relkind = 'i' AND c.relpersistence <> 't' ORDER BY 1, 4";
    let failed = ServerError::query("indexes of extensions' access methods");
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let mut all: Vec<ExtensionIndexes> = Vec::new();
    for row in &rows {
        let [method, extension, version, name] = read(row).map_err(failed)?;
        match all.last_mut() {
            Some(last) if last.method == method => last.names.push(name),
            _ => all.push(ExtensionIndexes { method, extension, version, names: vec![name] }),
        }
    }
    Ok(all)
}

fn read(row: &Row) -> Result<[String; 4], tokio_postgres::Error> {
    let text = |column: usize| row.try_get::<_, Lossy>(column).map(|Lossy(text)| text);
    Ok([text(0)?, text(1)?, text(2)?, text(3)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_method_that_is_not_known_may_change_its_format() {
        assert_eq!(storage("pgroonga"), Storage::Outside);
        assert_eq!(storage("bloom"), Storage::Stable);
        assert_eq!(storage("vchordrq"), Storage::Versioned);
        assert_eq!(storage("of_a_new_extension"), Storage::Versioned);
    }

    #[test]
    fn access_methods_are_sorted_by_name() {
        assert!(KNOWN.is_sorted_by(|one, other| one.0 < other.0));
    }
}
