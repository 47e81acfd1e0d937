//! Reads the rights from a server. The names of the queries are those of `pg_catalog`: a session's search path has no
//! other schema. After code of users may have run as superuser, the system's own code is compared first: see
//! [`examined_privileges`].

mod roles;

use futures::future::try_join_all;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;

use super::compare::Baseline;
use super::facts::Facts;
use super::snapshot::{DatabasePrivileges, Privileges, ServerPrivileges};
use super::system_code::SystemCode;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;

/// How many databases are read at the same time.
const CONCURRENCY: usize = 8;

/// How values that must not be shown are made comparable: the same on all servers of an upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Digest {
    /// Of `PostgreSQL` 10, which has no better one as a function.
    Md5,
    /// `md5()` fails on servers in FIPS mode.
    Sha256,
}

impl Digest {
    /// The digest that the servers of an upgrade have in common.
    #[must_use]
    pub fn since(old_major: u32) -> Self {
        if old_major >= 11 { Self::Sha256 } else { Self::Md5 }
    }

    /// A query of `sql/`, with the digest around its secrets.
    fn fill(self, sql: &str) -> String {
        let (open, close) = match self {
            Self::Md5 => ("md5(", ")"),
            // The bytes as they are stored: not every text of a database can be converted to UTF-8.
            Self::Sha256 => ("encode(sha256(convert_to(", ", getdatabaseencoding())), 'hex')"),
        };
        sql.replace("{open}", open).replace("{close}", close)
    }
}

/// The rights that belong to no database, on a server of `major`. Names of roles read differently in a database of another
/// encoding, so `client` is connected to the same one on each server.
pub async fn server_privileges(
    client: &Client,
    major: u32,
    digest: Digest,
) -> Result<ServerPrivileges, ServerError> {
    let settings = digest.fill(include_str!("../sql/privileges_settings.sql"));
    let roles = roles::roles(client).await?;
    Ok(ServerPrivileges {
        memberships: roles::memberships(client, major, &roles).await?,
        roles: roles.into_values().collect(),
        settings: read(client, "the settings of roles and databases", &settings).await?,
        objects: read(client, "the rights on databases", &objects_query(major)).await?,
    })
}

/// The rights in the database that `client` is connected to, on the serving server of `major`, where no code of users has run as
/// superuser.
pub async fn database_privileges(
    client: &Client,
    major: u32,
    digest: Digest,
) -> Result<DatabasePrivileges, ServerError> {
    let system_code = SystemCode::read_added(client).await?;
    contents(client, major, digest, system_code).await
}

/// Those in a database of a new cluster of `major`, with what other clusters of that version are compared with.
pub async fn pristine_privileges(
    client: &Client,
    major: u32,
    digest: Digest,
) -> Result<DatabasePrivileges, ServerError> {
    let system_code = SystemCode::read(client).await?;
    contents(client, major, digest, system_code).await
}

/// The rights in the database `name`, on a server of `major` where code of users may have run as superuser. If the system's own
/// code is not as `baseline` explains, nothing else is asked: the answers would mean nothing, and might run more of that code.
pub async fn examined_privileges(
    client: &Client,
    name: &str,
    major: u32,
    digest: Digest,
    baseline: &Baseline,
) -> Result<DatabasePrivileges, ServerError> {
    let system_code = SystemCode::read(client).await?;
    if !baseline.compare_system_code(name, &system_code).is_empty() {
        return Ok(DatabasePrivileges { system_code, ..DatabasePrivileges::default() });
    }
    contents(client, major, digest, system_code).await
}

async fn contents(
    client: &Client,
    major: u32,
    digest: Digest,
    system_code: SystemCode,
) -> Result<DatabasePrivileges, ServerError> {
    let sql = digest.fill(include_str!("../sql/privileges_of_database.sql"));
    let objects = read(client, "the rights in a database", &sql).await?;
    Ok(DatabasePrivileges { objects, system_code, facts: Facts::read(client, major).await? })
}

/// All rights, on a server of `major` with these databases, to each of which `connect` connects. Code of users may have run.
pub async fn privileges(
    connect: impl AsyncFn(&str) -> Result<Client, ServerError>,
    databases: &[String],
    major: u32,
    digest: Digest,
    baseline: &Baseline,
) -> Result<Privileges, ServerError> {
    let mut privileges = Privileges::default();
    // One after the other would make an outage longer.
    for some in databases.chunks(CONCURRENCY) {
        let read = some.iter().map(|name| named_privileges(&connect, name, major, digest, baseline));
        privileges.databases.extend(try_join_all(read).await?);
    }
    privileges.server = server_privileges(&connect("postgres").await?, major, digest).await?;
    Ok(privileges)
}

async fn named_privileges(
    connect: &impl AsyncFn(&str) -> Result<Client, ServerError>,
    name: &str,
    major: u32,
    digest: Digest,
    baseline: &Baseline,
) -> Result<(String, DatabasePrivileges), ServerError> {
    let client = connect(name).await?;
    Ok((name.to_owned(), examined_privileges(&client, name, major, digest, baseline).await?))
}

fn objects_query(major: u32) -> String {
    let mut sql = include_str!("../sql/privileges_of_server.sql").to_owned();
    if major >= 15 {
        sql.push_str(include_str!("../sql/privileges_of_parameters.sql"));
    }
    sql
}

/// The rows of a query, each of which is one JSON object.
async fn read<T: DeserializeOwned>(
    client: &Client,
    what: &'static str,
    sql: &str,
) -> Result<Vec<T>, ServerError> {
    let rows = strings(client, what, sql).await?;
    let parse = |row: &String| {
        serde_json::from_str(row).map_err(|_| ServerError::Answer { what, answer: row.clone() })
    };
    rows.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_grants_since_15() {
        assert!(!objects_query(14).contains("pg_parameter_acl"));
        assert!(objects_query(15).contains("pg_parameter_acl"));
    }

    #[test]
    fn digest_is_one_that_both_servers_have() {
        assert_eq!((Digest::since(10), Digest::since(11)), (Digest::Md5, Digest::Sha256));
        for digest in [Digest::Md5, Digest::Sha256] {
            let sql = digest.fill(include_str!("../sql/privileges_settings.sql"));
            let (_, query) = sql.split_once("SELECT").unwrap();
            assert!(!query.contains('{') && !query.contains("'value', translate"), "{query}");
        }
    }
}
