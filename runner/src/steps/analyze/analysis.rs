//! Analyzes the tables of databases, and keeps what could not be analyzed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use futures::future::try_join_all;
use pgops_api::plan::Step;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::client::database_error::{DatabaseError, is_shutdown};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::stored_settings::USERS_SETTINGS;
use crate::postgres::statistics::{Item, SharedCatalogs, Stage, Table, items, tables};
use crate::upgrade::UpgradeContext;

/// Limits of one table: a function of an index may not end, and another client may keep the table locked.
const LIMITS: &str = "SET vacuum_cost_delay = 0; SET statement_timeout = '30min'; SET lock_timeout = '5min'";

/// A database and its tables without statistics.
pub struct Database {
    pub name: String,
    pub tables: Vec<Table>,
}

/// The analysis of a server.
pub struct Analysis<'a> {
    upgrade: &'a UpgradeContext,
    ip: String,
    /// How many sessions a database gets.
    jobs: usize,
    left: RefCell<Left>,
}

/// Databases as a whole, and tables of databases, with the message for the operator. A table that failed is not tried in
/// the next pass.
#[derive(Debug, Default)]
struct Left(BTreeMap<(String, Option<String>), String>);

impl Left {
    fn add_database(&mut self, database: &str, why: &dyn std::fmt::Display) {
        let text = format!(
            "database \"{database}\" has no new statistics: {why}; fix the cause, then run ANALYZE in it"
        );
        self.add((database.to_owned(), None), text);
    }

    fn add_table(&mut self, database: &str, table: &str, why: &dyn std::fmt::Display) {
        let text = format!(
            "table {table} of database \"{database}\" has no complete statistics: {why}; fix the cause, then run ANALYZE {table}"
        );
        self.add((database.to_owned(), Some(table.to_owned())), text);
    }

    fn add(&mut self, key: (String, Option<String>), text: String) {
        tracing::warn!(step = %Step::Analyze, "{text}");
        self.0.entry(key).or_insert(text);
    }

    fn has(&self, database: &str, table: &str) -> bool {
        self.0.contains_key(&(database.to_owned(), Some(table.to_owned())))
    }
}

impl<'a> Analysis<'a> {
    pub fn new(upgrade: &'a UpgradeContext, ip: String, jobs: usize) -> Self {
        Self { upgrade, ip, jobs, left: RefCell::default() }
    }

    /// What could not be analyzed.
    pub fn into_left(self) -> Vec<String> {
        self.left.into_inner().0.into_values().collect()
    }

    /// The tables of a database that lack statistics; none if the database is why they cannot be asked for.
    pub async fn tables(
        &self,
        database: &str,
        shared: SharedCatalogs,
    ) -> Result<Option<Vec<Table>>, ServerError> {
        let found = async {
            let client = self.upgrade.superuser.connect(&self.ip, database).await?;
            tables(&client, self.upgrade.new_major, shared).await
        };
        let found = found.await;
        self.on_its_own(database, found)
    }

    /// One pass over the tables of a database.
    pub async fn analyze(&self, database: &Database, stage: Stage) -> Result<(), ServerError> {
        let items = items(&database.tables, stage, self.upgrade.new_major);
        if items.is_empty() {
            return Ok(());
        }
        let result = self.analyze_items(&database.name, &items, stage).await;
        self.on_its_own(&database.name, result).map(drop)
    }

    async fn analyze_items(&self, database: &str, items: &[Item], stage: Stage) -> Result<(), ServerError> {
        let mut sessions = vec![self.session(database, stage).await?];
        while sessions.len() < self.jobs.min(items.len()) {
            match self.session(database, stage).await {
                Ok(session) => sessions.push(session),
                // Clients may need the other connections.
                Err(error) => {
                    tracing::debug!("fewer sessions analyze database \"{database}\": {error}");
                    break;
                }
            }
        }
        let next = Cell::new(0);
        try_join_all(sessions.iter().map(|client| self.work(client, database, items, &next))).await.map(drop)
    }

    async fn session(&self, database: &str, stage: Stage) -> Result<Client, ServerError> {
        let client = self.upgrade.superuser.connect(&self.ip, database).await?;
        let failed = ServerError::execute("set the limits and formats of ANALYZE");
        client.batch_execute(&settings(stage)).await.map_err(failed)?;
        Ok(client)
    }

    /// Takes item after item until there is none.
    async fn work(
        &self,
        client: &Client,
        database: &str,
        items: &[Item],
        next: &Cell<usize>,
    ) -> Result<(), ServerError> {
        while let Some(item) = items.get(next.replace(next.get() + 1)) {
            if self.left.borrow().has(database, &item.table) {
                continue;
            }
            if let Some(why) = execute(client, &item.statement).await?
                && !self.parts_fail(client, database, item).await?
            {
                self.left.borrow_mut().add_table(database, &item.table, &why);
            }
        }
        Ok(())
    }

    /// Analyzes the parts of an item that has failed, one by one; returns whether one of them is why.
    async fn parts_fail(&self, client: &Client, database: &str, item: &Item) -> Result<bool, ServerError> {
        let mut failed = false;
        for part in &item.parts {
            if self.left.borrow().has(database, &part.table) {
                failed = true;
                continue;
            }
            let Some(why) = execute(client, &part.statement).await? else { continue };
            // Its own statistics come first, and then a partition of it has failed.
            if !(part.is_partitioned && failed) {
                self.left.borrow_mut().add_table(database, &part.table, &why);
            }
            failed = true;
        }
        Ok(failed)
    }

    /// Keeps an error that the database is the cause of; other databases are not affected.
    fn on_its_own<T>(
        &self,
        database: &str,
        result: Result<T, ServerError>,
    ) -> Result<Option<T>, ServerError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                match cause(&error) {
                    Cause::Server => return Err(error),
                    Cause::Database => {
                        self.left.borrow_mut().add_database(database, &pgops_api::display_chain(&error));
                    }
                    Cause::Dropped => {}
                }
                Ok(None)
            }
        }
    }
}

/// What a session that analyzes sets: as in autovacuum, functions in indexes run as the table's owner, on a search path
/// without schemas of users, and read and write values in the formats that the database stores. In other formats they may fail,
/// or return what no query of users looks for. `ANALYZE` itself is read alike under all of them.
fn settings(stage: Stage) -> String {
    let target = match stage {
        Stage::Coarse(target) => format!("; SET default_statistics_target = {target}"),
        Stage::Full => String::new(),
    };
    format!("{USERS_SETTINGS}; SET search_path = pg_catalog, pg_temp; {LIMITS}{target}")
}

/// Whose error it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The connection is lost, or the server is stopping or starting or has no connection left: the next attempt may not
    /// meet it.
    Server,
    Database,
    /// The database was dropped meanwhile.
    Dropped,
}

fn cause(error: &ServerError) -> Cause {
    let (ServerError::Connect { source, .. }
    | ServerError::Query { source, .. }
    | ServerError::Execute { source, .. }) = error
    else {
        return Cause::Server;
    };
    match source.code() {
        None => Cause::Server,
        Some(code) if is_shutdown(code) || *code == SqlState::TOO_MANY_CONNECTIONS => Cause::Server,
        Some(code) if *code == SqlState::UNDEFINED_DATABASE => Cause::Dropped,
        Some(_) => Cause::Database,
    }
}

/// Executes a statement; returns why the table cannot be analyzed.
async fn execute(client: &Client, statement: &str) -> Result<Option<DatabaseError>, ServerError> {
    let Err(error) = client.batch_execute(statement).await else { return Ok(None) };
    match error.code() {
        Some(code) if *code == SqlState::UNDEFINED_TABLE => Ok(None),
        Some(code) if !is_shutdown(code) && !client.is_closed() => Ok(Some(error.into())),
        _ => Err(ServerError::execute("analyze a table")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_table_is_named_with_its_database_and_not_tried_again() {
        let mut left = Left::default();
        left.add_table("shop", "\"s\".\"t\"", &"ERROR: division by zero (SQLSTATE 22012)");
        left.add_database("web", &"no");
        left.add_table("shop", "\"s\".\"t\"", &"again");
        assert!(left.has("shop", "\"s\".\"t\"") && !left.has("web", "\"s\".\"t\""));
        let lines: Vec<_> = left.0.into_values().collect();
        assert_eq!(lines.len(), 2);
        assert!(
            lines[0].contains("SQLSTATE 22012") && lines[0].ends_with("run ANALYZE \"s\".\"t\""),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("database \"web\" has no new statistics"), "{lines:?}");
    }

    #[rstest::rstest]
    #[case::shutdown(SqlState::ADMIN_SHUTDOWN, Cause::Server)]
    #[case::no_connection_left(SqlState::TOO_MANY_CONNECTIONS, Cause::Server)]
    #[case::dropped(SqlState::UNDEFINED_DATABASE, Cause::Dropped)]
    #[case::contents(SqlState::UNDEFINED_FUNCTION, Cause::Database)]
    #[case::cancelled(SqlState::QUERY_CANCELED, Cause::Database)]
    fn error_is_told_by_its_cause(#[case] code: SqlState, #[case] expected: Cause) {
        let source = DatabaseError::reported("rejected", code);
        assert_eq!(cause(&ServerError::Query { what: "x", source }), expected);
    }

    #[test]
    fn lost_connection_is_not_an_error_of_a_database() {
        let error = ServerError::Answer { what: "x", answer: String::new() };
        assert_eq!(cause(&error), Cause::Server);
    }

    #[test]
    fn session_returns_to_the_stored_formats_but_not_to_the_stored_search_path() {
        for (stage, ends_with) in
            [(Stage::Full, "'5min'"), (Stage::Coarse(10), "default_statistics_target = 10")]
        {
            let settings = settings(stage);
            assert!(
                settings.contains("RESET DateStyle")
                    && settings.contains("RESET standard_conforming_strings")
            );
            let position = |part: &str| settings.find(part).unwrap();
            assert!(position("RESET search_path") < position("SET search_path = pg_catalog, pg_temp"));
            assert!(settings.ends_with(ends_with), "{settings}");
        }
    }
}
