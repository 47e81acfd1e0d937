//! Queries that the superuser's session runs with the rights of another role.
//!
//! `SET ROLE` does not suffice: the code that is called may reset it. Within a `SECURITY DEFINER` function it may not: the
//! server then rejects changes of `role` and `session_authorization` (`InLocalUserIdChange`). The query is planned and
//! executed within such a call, so whatever the server evaluates has the rights of the function's owner: partition keys,
//! which it simplifies as soon as it reads the bounds, and index predicates and expressions of statistics, which it
//! simplifies when it plans.
//!
//! What the code leaves in the session must not run with the superuser's rights later. Functions, cursors,
//! deferred triggers and settings end with the transaction, which is rolled back, and transaction control is not
//! possible within a query. Prepared statements and `LISTEN` outlive it: the session has no other use, and uses only
//! the simple protocol, which names no statement.
//!
//! A change of data is committed, and at that moment deferred triggers and cursors that are held run with the superuser's
//! rights. So the caller of [`RoleSession::change`] makes sure beforehand, in the same transaction, that no code of users
//! will run.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::quote::{identifier, literal};
use super::stored_settings::USERS_FORMATS;

/// A session that is used for nothing else.
pub struct RoleSession {
    client: Client,
}

impl RoleSession {
    /// Takes a session of the superuser, which ends with this value.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The value of a query of one row and one column, which is text, run with the rights of `role`.
    pub async fn value(&self, role: &str, query: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let answer = self.client.simple_query(&statements(role, query)).await;
        let value = answer.and_then(|answer| first_column(&answer));
        let rolled_back = self.client.batch_execute("ROLLBACK").await;
        let value = value?.into_iter().next();
        rolled_back.map(|()| value)
    }

    /// Begins a transaction for a [`change`](Self::change), with these statements.
    pub async fn begin(&self, statements: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(&format!("BEGIN; {statements}")).await
    }

    /// The first column of a query, with the superuser's rights.
    pub async fn column(&self, query: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        first_column(&self.client.simple_query(query).await?)
    }

    /// The value of a statement of one row and one column, which is text, run with the rights of `role` in the transaction
    /// that was begun.
    pub async fn change(&self, role: &str, query: &str) -> Result<Option<String>, tokio_postgres::Error> {
        let statements = format!("{}; DROP FUNCTION pg_temp.pgops_query()", call(role, query));
        Ok(first_column(&self.client.simple_query(&statements).await?)?.into_iter().next())
    }

    /// Ends the transaction that was begun, and keeps its changes.
    pub async fn commit(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("COMMIT").await
    }

    /// Ends the transaction that was begun, or has failed, without a change.
    pub async fn roll_back(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("ROLLBACK").await
    }
}

/// The statements that run a query as `role`, up to the rollback.
fn statements(role: &str, query: &str) -> String {
    format!("BEGIN; {}", call(role, query))
}

/// The same within a transaction. The function is not checked when it is created, which happens with the superuser's
/// rights; that it is volatile keeps the planner from calling it.
fn call(role: &str, query: &str) -> String {
    format!(
        "{USERS_FORMATS}; SET LOCAL check_function_bodies = off; \
         CREATE FUNCTION pg_temp.pgops_query() RETURNS pg_catalog.text LANGUAGE sql VOLATILE SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp SET row_security = off AS {query}; \
         ALTER FUNCTION pg_temp.pgops_query() OWNER TO {role}; \
         SELECT pg_temp.pgops_query()",
        query = literal(query),
        role = identifier(role),
    )
}

/// The first column of all rows, without NULL. Text that is not valid UTF-8 is an error: `get` would panic.
fn first_column(answer: &[SimpleQueryMessage]) -> Result<Vec<String>, tokio_postgres::Error> {
    let value = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.try_get(0).map(|value| value.map(ToOwned::to_owned)).transpose(),
        _ => None,
    };
    answer.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_query_is_called_only_after_it_has_the_roles_rights() {
        let statements = statements("ten\"ant", "SELECT 'it''s'");
        let position = |part: &str| statements.find(part).unwrap_or_else(|| panic!("{part} in {statements}"));
        assert!(position("check_function_bodies = off") < position("CREATE FUNCTION"));
        assert!(position("CREATE FUNCTION") < position("OWNER TO \"ten\"\"ant\""));
        assert!(position("OWNER TO") < position("SELECT pg_temp.pgops_query()"));
        assert!(position("VOLATILE SECURITY DEFINER") < position("'SELECT ''it''''s'''"));
        assert!(!statements.contains("COMMIT"));
    }
}
