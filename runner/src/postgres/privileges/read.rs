//! Reads the rights from a server. The names of the queries are those of `pg_catalog`: a session's search path has no
//! other schema.

use futures::future::try_join_all;
use serde::de::DeserializeOwned;
use tokio_postgres::Client;

use super::snapshot::{DatabasePrivileges, Privileges, ServerPrivileges};
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
    let roles = digest.fill(include_str!("../sql/privileges_roles.sql"));
    let settings = digest.fill(include_str!("../sql/privileges_settings.sql"));
    Ok(ServerPrivileges {
        roles: read(client, "the roles", &roles).await?,
        memberships: read(client, "the memberships of roles", &memberships_query(major)).await?,
        settings: read(client, "the settings of roles and databases", &settings).await?,
        objects: read(client, "the rights on databases", &objects_query(major)).await?,
    })
}

/// The rights in the database that `client` is connected to.
pub async fn database_privileges(client: &Client, digest: Digest) -> Result<DatabasePrivileges, ServerError> {
    let sql = digest.fill(include_str!("../sql/privileges_of_database.sql"));
    Ok(DatabasePrivileges { objects: read(client, "the rights in a database", &sql).await? })
}

/// All rights, on a server of `major` with these databases, to each of which `connect` connects.
pub async fn privileges(
    connect: impl AsyncFn(&str) -> Result<Client, ServerError>,
    databases: &[String],
    major: u32,
    digest: Digest,
) -> Result<Privileges, ServerError> {
    let server = server_privileges(&connect("postgres").await?, major, digest).await?;
    let mut privileges = Privileges { server, ..Privileges::default() };
    // One after the other would make an outage longer.
    for some in databases.chunks(CONCURRENCY) {
        let read = some.iter().map(|name| named_privileges(&connect, name, digest));
        privileges.databases.extend(try_join_all(read).await?);
    }
    Ok(privileges)
}

async fn named_privileges(
    connect: &impl AsyncFn(&str) -> Result<Client, ServerError>,
    name: &str,
    digest: Digest,
) -> Result<(String, DatabasePrivileges), ServerError> {
    Ok((name.to_owned(), database_privileges(&connect(name).await?, digest).await?))
}

fn memberships_query(major: u32) -> String {
    let (inherit, set) =
        if major >= 16 { ("m.inherit_option", "m.set_option") } else { ("member.rolinherit", "true") };
    include_str!("../sql/privileges_memberships.sql").replace("{inherit}", inherit).replace("{set}", set)
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
    use rstest::rstest;

    #[rstest]
    #[case::before_options_of_memberships(15, "member.rolinherit")]
    #[case::with_them(16, "m.inherit_option")]
    fn memberships_are_read_as_the_version_has_them(#[case] major: u32, #[case] column: &str) {
        let sql = memberships_query(major);
        assert!(sql.contains(&format!("'inherit', {column}")) && !sql.contains("{set}"), "{sql}");
    }

    #[test]
    fn parameters_have_grants_since_15() {
        assert!(!objects_query(14).contains("pg_parameter_acl"));
        assert!(objects_query(15).contains("pg_parameter_acl"));
    }

    #[test]
    fn digest_is_one_that_both_servers_have() {
        assert_eq!((Digest::since(10), Digest::since(11)), (Digest::Md5, Digest::Sha256));
        for digest in [Digest::Md5, Digest::Sha256] {
            let sql = digest.fill(include_str!("../sql/privileges_roles.sql"));
            let (_, query) = sql.split_once("SELECT").unwrap();
            assert!(!query.contains('{') && !query.contains("'password', rolpassword"), "{query}");
        }
    }
}
