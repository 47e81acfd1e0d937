//! What roles with `CREATEROLE` lose in 16, and the `GRANT`s that give it to them again.
//!
//! Before 16 such a role could alter, drop and grant every role that is neither a superuser nor reserved, no matter who had created it.
//! Since 16 it needs the `ADMIN OPTION` on it (<https://www.postgresql.org/docs/16/release-16.html>). The grants give it that and
//! nothing else: with the `ADMIN OPTION` it can grant itself the membership, as it could before, and has to.
//! Reserved roles are left out: through `pg_execute_server_program` and others `CREATEROLE` was as much as superuser, which 16
//! is meant to end.

use tokio_postgres::Client;

use super::client::error::ServerError;
use super::client::query::strings;

/// The first version in which `CREATEROLE` is limited.
const SINCE: u32 = 16;

/// Whether roles with `CREATEROLE` have fewer rights after an upgrade between these major versions.
#[must_use]
pub fn loses_rights(old_major: u32, new_major: u32) -> bool {
    old_major < SINCE && new_major >= SINCE
}

/// The statements, for an old server or a new one: only those that are still missing.
pub async fn missing_grants(client: &Client) -> Result<Vec<String>, ServerError> {
    strings(client, "the rights of roles with CREATEROLE", include_str!("sql/createrole_grants.sql")).await
}

/// Runs those that are missing on a new server, all or none; returns their number.
pub async fn grant_missing(client: &Client) -> Result<usize, ServerError> {
    let statements = missing_grants(client).await?;
    if !statements.is_empty() {
        let failed = ServerError::execute("grant roles to roles with CREATEROLE");
        // Several statements of one simple query are one transaction.
        client.batch_execute(&statements.join("; ")).await.map_err(failed)?;
    }
    Ok(statements.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn createrole_is_limited_since_16() {
        assert!(loses_rights(13, 16) && loses_rights(15, 18));
        assert!(!loses_rights(13, 15) && !loses_rights(16, 17));
    }
}
