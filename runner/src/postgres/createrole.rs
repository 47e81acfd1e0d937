//! What roles with `CREATEROLE` lose in 16, and the `GRANT`s that give it to them again.
//!
//! Before 16 such a role could alter, drop and grant every role that is neither a superuser nor reserved, no matter who had created it.
//! Since 16 it needs the `ADMIN OPTION` on it (<https://www.postgresql.org/docs/16/release-16.html>). The grants give it that and
//! nothing else: with the `ADMIN OPTION` it can grant itself the membership, as it could before, and has to.
//! Reserved roles are left out: through `pg_execute_server_program` and others `CREATEROLE` was as much as superuser, which 16
//! is meant to end.

use pgops_api::plan::CreateroleGrants;
use tokio_postgres::Client;

use super::client::database_error::DatabaseError;
use super::client::error::ServerError;
use super::client::query::strings;

/// The first version in which `CREATEROLE` is limited.
const SINCE: u32 = 16;

/// Whether roles with `CREATEROLE` have fewer rights after an upgrade between these major versions.
#[must_use]
pub fn loses_rights(old_major: u32, new_major: u32) -> bool {
    old_major < SINCE && new_major >= SINCE
}

/// Whether the grants are run in an upgrade between these major versions.
#[must_use]
pub fn is_carried(grants: CreateroleGrants, old_major: u32, new_major: u32) -> bool {
    grants == CreateroleGrants::Carry && loses_rights(old_major, new_major)
}

/// The statements, for an old server or a new one: only those that are still missing. Each grants several roles, as there may be
/// thousands of them for each role with `CREATEROLE`.
pub async fn missing_grants(client: &Client) -> Result<Vec<String>, ServerError> {
    strings(client, "the rights of roles with CREATEROLE", include_str!("sql/createrole_grants.sql")).await
}

const GRANT: &str = "grant roles to roles with CREATEROLE";

/// Tries on a server of the new version what [`grant_missing`] does, and rolls it back; returns why the server rejects it, if
/// it does.
pub async fn try_missing(client: &Client) -> Result<Option<DatabaseError>, ServerError> {
    let statements = missing_grants(client).await?;
    if statements.is_empty() {
        return Ok(None);
    }
    let tried = client.batch_execute(&format!("BEGIN; {}", statements.join("; "))).await;
    client.batch_execute("ROLLBACK").await.map_err(ServerError::execute(GRANT))?;
    Ok(tried.err().map(DatabaseError::from))
}

/// Runs those that are missing on a new server, all or none; returns their number.
pub async fn grant_missing(client: &Client) -> Result<usize, ServerError> {
    let statements = missing_grants(client).await?;
    if !statements.is_empty() {
        let failed = ServerError::execute(GRANT);
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

    #[test]
    fn createrole_grants_are_carried_only_if_the_request_says_so() {
        assert!(is_carried(CreateroleGrants::Carry, 13, 17));
        assert!(
            !is_carried(CreateroleGrants::Report, 13, 17) && !is_carried(CreateroleGrants::Carry, 16, 17)
        );
    }

    /// 20 roles with CREATEROLE and 1000 others would otherwise take 20,000 statements, in the outage and in the log.
    #[test]
    fn createrole_grants_name_many_roles_in_one_statement() {
        let sql = include_str!("sql/createrole_grants.sql");
        assert!(
            sql.contains("string_agg(quote_ident(role), ', ' ORDER BY role)") && sql.contains("/ 50 AS part")
        );
    }
}
