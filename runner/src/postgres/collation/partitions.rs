//! Partitions with rows that belong to another partition under the new rules, and tables that inherit from another with rows that
//! violate their checks: queries miss both.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::dependents::Dependents;
use super::misrouted::{Bounds, Misrouted, Partition, Rows, State, Unchecked};
use crate::postgres::client::as_role::RoleSession;
use crate::postgres::client::database_error::{is_not_utf8, is_shutdown};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// The planner would trust the very bounds that are in doubt, and indexes that may be.
const PLANNER_SETTINGS: &str = "SET constraint_exclusion = off; SET enable_partition_pruning = off; SET enable_indexscan = off; \
                        SET enable_indexonlyscan = off; SET enable_bitmapscan = off";
const WHAT: &str = "rows in the wrong partition";

/// The partitions with misrouted rows. `separate` is a session in the same database, which is used for nothing else.
pub async fn misrouted_rows(
    client: &Client,
    separate: Client,
    dependents: &Dependents,
) -> Result<Vec<Misrouted>, ServerError> {
    let failed = ServerError::query(WHAT);
    let partitions = partitions(client, dependents).await?;
    separate.batch_execute(PLANNER_SETTINGS).await.map_err(failed)?;
    let session = RoleSession::new(separate);
    let mut found = Vec::new();
    for partition in partitions {
        let state = match partition.count(&session).await? {
            Ok(rows) if rows.misrouted == 0 => continue,
            Ok(rows) => State::Counted(rows),
            Err(why) => State::Unchecked(why),
        };
        found.push(Misrouted { partition, state });
    }
    Ok(found)
}

/// The tables whose rows may be misrouted, without their partitions and the tables that inherit from them.
pub async fn roots(client: &Client, dependents: &Dependents) -> Result<Vec<String>, ServerError> {
    let mut roots: Vec<String> =
        partitions(client, dependents).await?.into_iter().map(|partition| partition.root).collect();
    roots.sort();
    roots.dedup();
    Ok(roots)
}

async fn partitions(client: &Client, dependents: &Dependents) -> Result<Vec<Partition>, ServerError> {
    let failed = ServerError::query("partitions that depend on rules of text and time");
    let parameters: [&(dyn ToSql + Sync); 3] =
        [&dependents.reordered, &dependents.pattern, &dependents.extensions];
    let sql = with_foreign_code(include_str!("../sql/partitions_by_text.sql"));
    let partitions = client.query(&sql, &parameters).await.map_err(failed)?;
    let sql = with_foreign_code(include_str!("../sql/inherited_checks.sql"));
    let children = client.query(&sql, &[&dependents.pattern]).await.map_err(failed)?;
    let partitions = partitions.iter().map(Partition::read);
    partitions.chain(children.iter().map(Partition::read_child)).map(|it| it.map_err(failed)).collect()
}

/// The query with the part that both have.
fn with_foreign_code(sql: &str) -> String {
    sql.replace("{foreign_code}", include_str!("../sql/foreign_code.sql").trim_end())
}

impl Partition {
    /// Reads the columns of `partitions_by_text.sql`.
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let column = row.try_get::<_, Option<Lossy>>(6)?.map(|Lossy(column)| column);
        Ok(Self { column, ..Self::read_table(row)? })
    }

    /// Reads the columns of `inherited_checks.sql`.
    fn read_child(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { bounds: Bounds::Checks(row.try_get(6)?), ..Self::read_table(row)? })
    }

    fn read_table(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            oid: row.try_get(0)?,
            name: row.try_get::<_, Lossy>(1)?.0,
            root_oid: row.try_get(2)?,
            root: row.try_get::<_, Lossy>(3)?.0,
            owner: row.try_get::<_, Option<Lossy>>(4)?.map(|Lossy(owner)| owner),
            runs_foreign_code: row.try_get(5)?,
            ..Self::default()
        })
    }

    /// Counts the rows outside its bounds. Both queries evaluate code of the tables' owner, the first one that of the
    /// partition keys, the second one that of indexes too: they run with the owner's rights.
    pub async fn count(&self, session: &RoleSession) -> Result<Result<Rows, Unchecked>, ServerError> {
        let owner = match self.owner() {
            Ok(owner) => owner,
            Err(why) => return Ok(Err(why)),
        };
        let bounds = match session.value(owner, &self.bounds_query()).await {
            // A default partition without siblings takes every row.
            Ok(None) => return Ok(Ok(Rows::default())),
            Ok(Some(bounds)) => bounds,
            Err(error) => return failure(owner, error),
        };
        match session.value(owner, &self.count_query(&bounds)).await {
            Ok(answer) => {
                let answer = answer.unwrap_or_default();
                let rows = Rows::parse(&answer, bounds);
                rows.ok_or(ServerError::Answer { what: WHAT, answer }).map(Ok)
            }
            Err(error) => failure(owner, error),
        }
    }

    /// The bounds of a partition are those of all above it.
    fn bounds_query(&self) -> String {
        match &self.bounds {
            Bounds::Partition => format!("SELECT pg_get_partition_constraintdef({})", self.oid),
            Bounds::Checks(oids) => {
                let oids: Vec<_> = oids.iter().map(ToString::to_string).collect();
                format!(
                    "SELECT string_agg(format('(%s)', pg_get_expr(conbin, conrelid)), ' AND ') FROM pg_constraint WHERE oid IN ({})",
                    oids.join(", ")
                )
            }
        }
    }

    fn count_query(&self, bounds: &str) -> String {
        format!(
            "SELECT concat_ws(' ', count(*) FILTER (WHERE NOT ({bounds})), count(*), pg_total_relation_size({oid})) \
             FROM ONLY {name}",
            oid = self.oid,
            name = self.name
        )
    }
}

/// An error that the owner's code or rights have caused leaves this partition unchecked; a lost connection is retried.
fn failure<T>(owner: &str, error: tokio_postgres::Error) -> Result<Result<T, Unchecked>, ServerError> {
    // The bounds name columns.
    if is_not_utf8(&error) {
        return Ok(Err(Unchecked::NotUtf8));
    }
    match sqlstate(&error) {
        Some(sqlstate) => Ok(Err(Unchecked::Failed { owner: owner.to_owned(), sqlstate })),
        None => Err(ServerError::query(WHAT)(error)),
    }
}

/// The code of an error of a statement that runs code of users: neither a lost connection nor a shutdown.
pub fn sqlstate(error: &tokio_postgres::Error) -> Option<String> {
    let code = error.as_db_error()?.code();
    (!is_shutdown(code)).then(|| code.code().to_owned())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The partition `s.t1` of `s.t`.
    pub fn partition(owner: Option<&str>, runs_foreign_code: bool) -> Partition {
        Partition {
            oid: 16400,
            name: "s.t1".into(),
            root_oid: 16399,
            root: "s.t".into(),
            owner: owner.map(Into::into),
            runs_foreign_code,
            column: Some("w".into()),
            bounds: Bounds::Partition,
        }
    }

    #[test]
    fn bounds_of_an_inheriting_table_are_its_checks() {
        let child = Partition { bounds: Bounds::Checks(vec![16410, 16411]), ..partition(Some("app"), false) };
        let query = child.bounds_query();
        assert!(query.ends_with("FROM pg_constraint WHERE oid IN (16410, 16411)"), "{query}");
        let query = partition(Some("app"), false).bounds_query();
        assert_eq!(query, "SELECT pg_get_partition_constraintdef(16400)");
    }

    #[test]
    fn partition_of_an_inheritance_tree_is_counted_alone() {
        let query = partition(Some("app"), false).count_query("(w > 'a')");
        assert!(query.contains("FILTER (WHERE NOT ((w > 'a')))"), "{query}");
        assert!(query.ends_with("FROM ONLY s.t1"), "{query}");
    }
}
