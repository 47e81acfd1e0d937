//! Moves rows to the partition that they belong to under the new text rules.
//!
//! A batch is moved by one UPDATE of the root that sets a column to itself: the server deletes each row and inserts it where
//! it belongs, or fails as a whole. It is an UPDATE and not a DELETE with an INSERT, since the server takes the latter for
//! a deletion by a client and executes ON DELETE actions of foreign keys.
//!
//! Unlike a count, a move is committed, and so no code of users may run in its transaction, see
//! [`as_role`](crate::postgres::client::as_role). A lock keeps the definitions of all tables that take part unchanged while
//! they are checked and rows are moved; clients may read and write meanwhile. Tables with triggers are left: those would
//! take the move for a change by a client.

use std::fmt;

use tokio_postgres::Client;

use super::misrouted::{Partition, Refusal, Rows, State};
use super::partitions::sqlstate;
use crate::postgres::client::as_role::RoleSession;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::quote::literal;

/// How many rows a transaction moves: it holds their locks for some tens of milliseconds.
const BATCH: usize = 1000;
/// How many blocks a query searches for misrouted rows: it sorts what it finds.
const WINDOW: u64 = 16 * 1024;
/// After this many rows of a partition that cannot be moved the others are not tried.
const MAX_REJECTED: usize = 100;
/// Limits of a transaction: a client that holds a lock is not waited for, and others do not queue behind this one.
const LIMITS: &str = "SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10min'";
/// Keeps definitions unchanged, and clients reading and writing.
const LOCK_MODE: &str = "SHARE UPDATE EXCLUSIVE";
/// Indexes are right by now, and bounds are not: the search must not trust them.
const PLANNER_SETTINGS: &str = "SET constraint_exclusion = off; SET enable_partition_pruning = off";
const WHAT: &str = "rows that belong to another partition";

/// What became of the misrouted rows of a partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Moved {
    pub rows: u64,
    /// What is known about the others, if there are any.
    pub left: Option<State>,
}

/// A place in a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Tid {
    block: u32,
    offset: u16,
}

/// What became of a batch.
enum Batch {
    Moved(u64),
    Obstructed(Vec<String>),
    Rejected(String),
}

/// Prepares a session of the superuser that is used for nothing else.
pub async fn session(client: Client) -> Result<RoleSession, ServerError> {
    client.batch_execute(PLANNER_SETTINGS).await.map_err(failed)?;
    Ok(RoleSession::new(client))
}

/// Moves the misrouted `rows` of a partition, on a server of this major version. What was moved stays moved if it is
/// interrupted.
pub async fn move_rows(
    session: &RoleSession,
    partition: &Partition,
    rows: &Rows,
    major: u32,
) -> Result<Moved, ServerError> {
    let refused = |rows: Rows, why| Some(State::Left(rows, why));
    let (Ok(owner), Some(column)) = (partition.owner(), &partition.column) else {
        return Ok(Moved { rows: 0, left: refused(rows.clone(), Refusal::NoColumn) });
    };
    let mut mover = Mover { session, partition, rows, owner, column, moved: 0, rejected: Vec::new() };
    // The keys may be code of users, which the search would evaluate.
    let refusal = match mover.batch(&[]).await? {
        Batch::Obstructed(obstacles) => Some(Refusal::Obstacles(obstacles)),
        Batch::Rejected(sqlstate) => Some(Refusal::Rejected(vec![sqlstate])),
        Batch::Moved(_) => mover.run(major).await?,
    };
    let done = mover.moved;
    let left = match refusal {
        Some(refusal @ Refusal::Rejected(_)) => match partition.count(session).await? {
            Ok(rows) if rows.misrouted == 0 => None,
            Ok(rows) => refused(rows, refusal),
            Err(why) => Some(State::Unchecked(why)),
        },
        Some(refusal) => {
            refused(Rows { misrouted: rows.misrouted.saturating_sub(done), ..rows.clone() }, refusal)
        }
        // Clients have changed the others meanwhile.
        None => None,
    };
    Ok(Moved { rows: done, left })
}

struct Mover<'a> {
    session: &'a RoleSession,
    partition: &'a Partition,
    rows: &'a Rows,
    owner: &'a str,
    column: &'a str,
    moved: u64,
    /// The code of each row that was rejected.
    rejected: Vec<String>,
}

impl Mover<'_> {
    /// Goes through the partition once.
    async fn run(&mut self, major: u32) -> Result<Option<Refusal>, ServerError> {
        let blocks = self.blocks().await?;
        // Before 14 each query reads the whole partition.
        let window = if major >= 14 { WINDOW } else { u64::MAX };
        let mut start = 0_u64;
        while start < blocks {
            let end = start.saturating_add(window).min(blocks);
            let mut from = Tid::at(start);
            loop {
                let batch = match self.search(from, Tid::at(end)).await? {
                    Ok(batch) => batch,
                    Err(sqlstate) => {
                        self.rejected.push(sqlstate);
                        return Ok(self.rejection());
                    }
                };
                let Some(last) = batch.last() else { break };
                from = *last;
                let is_last = batch.len() < BATCH;
                if let Some(refusal) = self.split(batch).await? {
                    return Ok(Some(refusal));
                }
                if is_last {
                    break;
                }
            }
            start = end;
        }
        Ok(self.rejection())
    }

    /// Moves a batch; of one that is rejected, as many rows as possible.
    async fn split(&mut self, batch: Vec<Tid>) -> Result<Option<Refusal>, ServerError> {
        let mut batches = vec![batch];
        while let Some(batch) = batches.pop() {
            match self.batch(&batch).await? {
                Batch::Moved(rows) => self.moved += rows,
                Batch::Obstructed(obstacles) => return Ok(Some(Refusal::Obstacles(obstacles))),
                Batch::Rejected(sqlstate) if batch.len() <= 1 => {
                    self.rejected.push(sqlstate);
                    if self.rejected.len() >= MAX_REJECTED {
                        return Ok(self.rejection());
                    }
                }
                Batch::Rejected(_) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    batches.extend([second.to_vec(), first.to_vec()]);
                }
            }
        }
        Ok(None)
    }

    fn rejection(&self) -> Option<Refusal> {
        let mut codes = self.rejected.clone();
        codes.sort();
        codes.dedup();
        (!codes.is_empty()).then_some(Refusal::Rejected(codes))
    }

    async fn blocks(&self) -> Result<u64, ServerError> {
        let query = format!(
            "SELECT (pg_relation_size({}) / current_setting('block_size')::int8)::text",
            self.partition.oid
        );
        let answer = self.session.column(&query).await.map_err(ServerError::query(WHAT))?.concat();
        answer.parse().map_err(|_| ServerError::Answer { what: WHAT, answer: answer.clone() })
    }

    /// The first misrouted rows between two places, or the code of the error.
    async fn search(&self, after: Tid, before: Tid) -> Result<Result<Vec<Tid>, String>, ServerError> {
        let query = search(&self.partition.name, &self.rows.bounds, after, before);
        let found = match self.session.value(self.owner, &query).await {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                let Some(sqlstate) = sqlstate(&error) else { return Err(failed(error)) };
                return Ok(Err(sqlstate));
            }
        };
        let tids: Option<Vec<Tid>> = found.split_terminator(' ').map(Tid::parse).collect();
        tids.ok_or(ServerError::Answer { what: WHAT, answer: found }).map(Ok)
    }

    /// Moves these rows, or none of them. Those that clients have changed meanwhile are not moved.
    async fn batch(&self, tids: &[Tid]) -> Result<Batch, ServerError> {
        match self.transaction(tids).await {
            Ok(batch) => Ok(batch),
            Err(error) => {
                let Some(sqlstate) = sqlstate(&error) else { return Err(failed(error)) };
                self.session.roll_back().await.map_err(failed)?;
                Ok(Batch::Rejected(sqlstate))
            }
        }
    }

    async fn transaction(&self, tids: &[Tid]) -> Result<Batch, tokio_postgres::Error> {
        let root = self.partition.root_oid.to_string();
        self.session
            .begin(&format!("{LIMITS}; LOCK TABLE {} IN {LOCK_MODE} MODE", self.partition.root))
            .await?;
        let referenced = self
            .session
            .column(&include_str!("../sql/referenced_tables.sql").replace("{root}", &root))
            .await?;
        if !referenced.is_empty() {
            self.session.column(&format!("LOCK TABLE {} IN {LOCK_MODE} MODE", referenced.join(", "))).await?;
        }
        let obstacles = self
            .session
            .column(&include_str!("../sql/repartition_obstacles.sql").replace("{root}", &root))
            .await?;
        if !obstacles.is_empty() || tids.is_empty() {
            self.session.roll_back().await?;
            return Ok(if obstacles.is_empty() { Batch::Moved(0) } else { Batch::Obstructed(obstacles) });
        }
        let statement = update(self.partition, self.column, tids);
        let moved = self.session.change(self.owner, &statement).await?;
        self.session.commit().await?;
        Ok(Batch::Moved(moved.and_then(|moved| moved.parse().ok()).unwrap_or(0)))
    }
}

fn failed(error: tokio_postgres::Error) -> ServerError {
    ServerError::execute("move rows to their partition")(error)
}

fn search(name: &str, bounds: &str, after: Tid, before: Tid) -> String {
    format!(
        "SELECT string_agg(ctid::text, ' ') FROM (SELECT ctid FROM ONLY {name} WHERE ctid > '{after}'::tid \
         AND ctid < '{before}'::tid AND NOT ({bounds}) ORDER BY ctid LIMIT {BATCH}) AS batch"
    )
}

fn update(partition: &Partition, column: &str, tids: &[Tid]) -> String {
    let elements: Vec<_> = tids.iter().map(|tid| format!("\"{tid}\"")).collect();
    format!(
        "WITH moved AS (UPDATE {root} SET {column} = {column} WHERE tableoid = {oid} AND ctid = ANY ({tids}::tid[]) \
         RETURNING 1) SELECT count(*)::text FROM moved",
        root = partition.root,
        oid = partition.oid,
        tids = literal(&format!("{{{}}}", elements.join(",")))
    )
}

impl Tid {
    /// Before the first row of a block.
    fn at(block: u64) -> Self {
        Self { block: u32::try_from(block).unwrap_or(u32::MAX), offset: 0 }
    }

    fn parse(text: &str) -> Option<Self> {
        let (block, offset) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
        Some(Self { block: block.parse().ok()?, offset: offset.parse().ok()? })
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({},{})", self.block, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("(0,1)", Some(Tid { block: 0, offset: 1 }))]
    #[case("(4294967295,65535)", Some(Tid { block: u32::MAX, offset: u16::MAX }))]
    #[case("(0)", None)]
    #[case("0,1", None)]
    fn tid_is_parsed_as_it_is_displayed(#[case] text: &str, #[case] expected: Option<Tid>) {
        assert_eq!(Tid::parse(text), expected);
        if let Some(tid) = expected {
            assert_eq!(tid.to_string(), text);
        }
    }

    #[test]
    fn batch_is_moved_by_one_statement_on_the_root() {
        let partition = Partition {
            oid: 16400,
            name: "s.t1".into(),
            root: "s.t".into(),
            owner: Some("app".into()),
            ..Partition::default()
        };
        let tids = [Tid { block: 0, offset: 1 }, Tid { block: 7, offset: 2 }];
        assert_eq!(
            update(&partition, "\"W\"", &tids),
            "WITH moved AS (UPDATE s.t SET \"W\" = \"W\" WHERE tableoid = 16400 AND ctid = ANY ('{\"(0,1)\",\"(7,2)\"}'::tid[]) \
             RETURNING 1) SELECT count(*)::text FROM moved"
        );
    }

    #[test]
    fn search_continues_after_the_last_row() {
        let query = search("s.t1", "(w > 'a')", Tid { block: 3, offset: 9 }, Tid::at(16384));
        assert!(
            query.contains("FROM ONLY s.t1 WHERE ctid > '(3,9)'::tid AND ctid < '(16384,0)'::tid"),
            "{query}"
        );
        assert!(query.contains("AND NOT ((w > 'a')) ORDER BY ctid"), "{query}");
    }
}
