//! Asks all servers of a database, every 100 ms, whether they take writes: two must never do so at once.
//!
//! | file | content |
//! |---|---|
//! | `server` | a connection to one server, by the address of its pod |
//! | `questions` | what it is asked: whether it is in recovery, and, if it is not, to commit a row |
//! | `answers` | what was answered, and the longest time without a commit |
//! | `overlap` | when two servers certainly were primaries at once: pure |

mod answers;
mod overlap;
mod questions;
mod server;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use anyhow::{Context, ensure};
use pgops_api::names;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub use answers::Answers;
pub use overlap::{Answer, Overlap};

use crate::connection;
use crate::database::Database;
use answers::Event;
use questions::{TABLE, Watched};
use server::Server;

/// A restarted server may answer late on a busy machine.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Watches all servers of a database, by tasks that end on drop.
///
/// It reaches pods by their addresses, so it must run in the cluster's network, as `tests/cluster/exec` does. Its tasks need threads
/// of their own: `#[tokio::test(flavor = "multi_thread")]`.
pub struct Watcher {
    database: Database,
    servers: u32,
    start: Instant,
    /// When the answers that were not returned yet begin.
    from: Duration,
    events: UnboundedReceiver<Event>,
    _tasks: JoinSet<()>,
}

impl Watcher {
    /// Starts it; returns once every server has answered, and a row was committed.
    pub async fn start(database: &Database) -> anyhow::Result<Self> {
        database.sql("postgres", &format!("CREATE TABLE {TABLE} (n bigint PRIMARY KEY)")).await?;
        let object = database.object().await?;
        let servers = u32::try_from(object.replicas())?;
        let login = connection::login(database.namespace(), &object).await?;
        let (sender, events) = unbounded_channel();
        let (start, number) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let mut tasks = JoinSet::new();
        for ordinal in 0..servers {
            let pod = names::pod(database.name(), ordinal);
            let server = || Server::new(database.namespace().api(), pod.clone(), login.clone());
            let (is_primary, number) = (Arc::new(AtomicBool::new(false)), number.clone());
            let watched = Watched { start, is_primary, number, events: sender.clone() };
            tasks.spawn(watched.clone().ask_role(server()));
            tasks.spawn(watched.write(server()));
        }
        let database = database.clone();
        let mut watcher = Self { database, servers, start, from: Duration::ZERO, events, _tasks: tasks };
        while watcher.answers().await?.written().is_empty() {
            ensure!(start.elapsed() < TIMEOUT, "no server acknowledges writes of the watcher");
        }
        Ok(watcher)
    }

    /// All answers since the last call. Returns once every server has answered a question from after this call.
    pub async fn answers(&mut self) -> anyhow::Result<Answers> {
        let now = self.start.elapsed();
        let mut answers = Answers::since(self.from);
        let mut answered = BTreeSet::new();
        let servers = usize::try_from(self.servers)?;
        let collected = timeout(TIMEOUT, async {
            while answered.len() < servers {
                let event = self.events.recv().await.context("the watcher has ended")?;
                if event.answer.asked >= now {
                    answered.insert(event.server.clone());
                }
                answers.add(event);
            }
            anyhow::Ok(())
        })
        .await;
        collected.with_context(|| format!("of {servers} servers only {answered:?} have answered"))??;
        self.from = answers.to();
        Ok(answers)
    }

    /// Fails if the primary lacks a row that was acknowledged.
    pub async fn ensure_kept(&self, answers: &Answers) -> anyhow::Result<()> {
        let numbers: Vec<_> = answers.written().iter().map(ToString::to_string).collect();
        let count = format!("SELECT count(*) FROM {TABLE} WHERE n = ANY ('{{{}}}')", numbers.join(","));
        let kept = self.database.value(&count).await?;
        let written = numbers.len();
        ensure!(kept == written.to_string(), "{written} rows were acknowledged, {kept} of them exist");
        Ok(())
    }
}
