//! Partitions with rows that belong to another partition under the new text rules.

use tokio_postgres::{Client, Row};

use super::changes::Dependents;
use crate::postgres::client::as_role::RoleSession;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::quote::literal;

/// The planner would trust the very bounds that are in doubt, and indexes that may be.
const PLANNER_SETTINGS: &str = "SET constraint_exclusion = off; SET enable_partition_pruning = off; SET enable_indexscan = off; \
                        SET enable_indexonlyscan = off; SET enable_bitmapscan = off";
const WHAT: &str = "rows in the wrong partition";

struct Partition {
    oid: u32,
    name: String,
    root: String,
    /// The role that owns it and all tables above it.
    owner: Option<String>,
    /// Whether the owner is a superuser, and code that it evaluates may be another role's.
    runs_foreign_code: bool,
}

/// Why the rows of a partition were not counted.
#[derive(Debug, Eq, PartialEq)]
enum Unchecked {
    /// The keys above it are other roles' code: a query runs the code of all of them.
    SeveralOwners,
    /// A superuser's table uses code that may be another role's.
    ForeignCode,
    /// The owner's query failed. Only the code: the message may contain values of users.
    Failed { owner: String, sqlstate: String },
}

/// A sentence for each partition with rows that queries look for in another one, or that cannot be checked. `separate` is
/// a session in the same database, which is used for nothing else.
pub async fn misrouted_rows(
    client: &Client,
    separate: Client,
    dependents: &Dependents,
) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query(WHAT);
    let sql = include_str!("../sql/partitions_by_text.sql");
    let rows = client.query(sql, &[&dependents.reordered, &dependents.pattern]).await.map_err(failed)?;
    separate.batch_execute(PLANNER_SETTINGS).await.map_err(failed)?;
    let session = RoleSession::new(separate);
    let mut found = Vec::new();
    for row in &rows {
        let partition = Partition::read(row).map_err(failed)?;
        match partition.count(&session).await? {
            Ok(0) => {}
            Ok(rows) => found.push(partition.with_misrouted(rows)),
            Err(why) => found.push(partition.unchecked(&why)),
        }
    }
    Ok(found)
}

impl Partition {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            oid: row.try_get(0)?,
            name: row.try_get(1)?,
            root: row.try_get(2)?,
            owner: row.try_get(3)?,
            runs_foreign_code: row.try_get(4)?,
        })
    }

    /// Counts the rows outside its bounds. Both queries evaluate code of the tables' owner, the first one that of the
    /// partition keys, the second one that of indexes too: they run with the owner's rights.
    async fn count(&self, session: &RoleSession) -> Result<Result<u64, Unchecked>, ServerError> {
        let owner = match self.owner() {
            Ok(owner) => owner,
            Err(why) => return Ok(Err(why)),
        };
        let bounds = match session.value(owner, &self.bounds_query()).await {
            // A default partition without siblings takes every row.
            Ok(None) => return Ok(Ok(0)),
            Ok(Some(bounds)) => bounds,
            Err(error) => return failure(owner, error),
        };
        match session.value(owner, &self.count_query(&bounds)).await {
            Ok(answer) => {
                let answer = answer.unwrap_or_default();
                let rows =
                    answer.parse().map_err(|_| ServerError::Answer { what: WHAT, answer: answer.clone() });
                rows.map(Ok)
            }
            Err(error) => failure(owner, error),
        }
    }

    /// The role whose rights suffice to count, and give its code no further ones.
    fn owner(&self) -> Result<&str, Unchecked> {
        match &self.owner {
            None => Err(Unchecked::SeveralOwners),
            Some(_) if self.runs_foreign_code => Err(Unchecked::ForeignCode),
            Some(owner) => Ok(owner),
        }
    }

    /// The bounds of a partition are those of all above it.
    fn bounds_query(&self) -> String {
        format!("SELECT pg_get_partition_constraintdef({})", self.oid)
    }

    fn count_query(&self, bounds: &str) -> String {
        format!("SELECT count(*)::text FROM ONLY {} WHERE NOT ({bounds})", self.name)
    }

    fn unchecked(&self, why: &Unchecked) -> String {
        let why = match why {
            Unchecked::SeveralOwners => "the tables above it have other owners, whose code would run".to_owned(),
            Unchecked::ForeignCode => {
                "its keys, indexes or statistics use a user-defined function, operator or type, which would run as superuser"
                    .to_owned()
            }
            Unchecked::Failed { owner, sqlstate } => {
                format!("they could not be counted as its owner \"{owner}\" (SQLSTATE {sqlstate})")
            }
        };
        let name = literal(&self.name);
        format!(
            "rows of {} may belong to another partition of {} now: {why}. As a role that may run that code, create the query \
             that counts them by SELECT format('SELECT count(*) FROM ONLY %s WHERE NOT (%s)', {name}, \
             pg_get_partition_constraintdef({name}::regclass))",
            self.name, self.root
        )
    }

    fn with_misrouted(&self, rows: u64) -> String {
        format!(
            "{rows} rows of {} belong to another partition of {root} now, and queries miss them: to move them, SET \
             enable_partition_pruning = off and UPDATE {root}, setting a column of its key to itself",
            self.name,
            root = self.root
        )
    }
}

/// An error that the owner's code or rights have caused leaves this partition unchecked; a lost connection is retried.
fn failure(owner: &str, error: tokio_postgres::Error) -> Result<Result<u64, Unchecked>, ServerError> {
    match error.as_db_error() {
        Some(reported) if !is_shutdown(reported.code().code()) => {
            let sqlstate = reported.code().code().to_owned();
            Ok(Err(Unchecked::Failed { owner: owner.to_owned(), sqlstate }))
        }
        _ => Err(ServerError::query(WHAT)(error)),
    }
}

/// Whether the server is stopping or starting (class 57P), which the next attempt does not meet.
fn is_shutdown(sqlstate: &str) -> bool {
    sqlstate.starts_with("57P")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(owner: Option<&str>, runs_foreign_code: bool) -> Partition {
        Partition {
            oid: 16400,
            name: "s.t1".into(),
            root: "s.t".into(),
            owner: owner.map(Into::into),
            runs_foreign_code,
        }
    }

    #[test]
    fn partition_is_counted_only_as_the_owner_of_all_code_that_runs() {
        assert_eq!(partition(Some("app"), false).owner(), Ok("app"));
        assert_eq!(partition(None, false).owner(), Err(Unchecked::SeveralOwners));
        assert_eq!(partition(Some("postgres"), true).owner(), Err(Unchecked::ForeignCode));
    }

    #[test]
    fn unchecked_partition_is_named_with_the_reason_and_a_query() {
        let why = Unchecked::Failed { owner: "app".into(), sqlstate: "42501".into() };
        let text = partition(Some("app"), false).unchecked(&why);
        for part in ["rows of s.t1", "partition of s.t now", "\"app\" (SQLSTATE 42501)", "'s.t1'::regclass"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn partition_of_an_inheritance_tree_is_counted_alone() {
        let query = partition(Some("app"), false).count_query("(w > 'a')");
        assert_eq!(query, "SELECT count(*)::text FROM ONLY s.t1 WHERE NOT ((w > 'a'))");
    }

    #[test]
    fn shutdown_is_not_a_property_of_a_partition() {
        assert!(is_shutdown("57P01") && !is_shutdown("57014") && !is_shutdown("42501"));
    }
}
