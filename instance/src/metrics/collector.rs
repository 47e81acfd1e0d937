//! Collects the metrics at intervals, however often they are asked for.

use std::time::Duration;

use pgops_volume::Volume;
use tokio::sync::watch;
use tokio::time::Instant;

use super::retired::RetiredSizes;
use super::statistics::{self, Statistics};
use super::text::{Snapshot, text};
use crate::session::{OwnSession, OwnSessions};
use crate::stage::Stage;

/// How long an answer is used.
const INTERVAL: Duration = Duration::from_secs(5);
/// The same, for the size of the databases.
const SIZE_INTERVAL: Duration = Duration::from_mins(5);
/// Timeout of everything that the server is asked. Prometheus waits for 10 s.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Collects the metrics of one instance.
pub struct Collector {
    stage: watch::Receiver<Stage>,
    sessions: OwnSessions,
    volume: Volume,
    major: u32,
    retired: RetiredSizes,
    databases: Option<Measured>,
    last: Option<(Instant, String)>,
}

/// The size of all databases, if the server has said it, and when it was asked.
#[derive(Clone, Copy)]
struct Measured {
    at: Instant,
    bytes: Option<i64>,
}

/// What a server that accepts sessions has answered.
struct Answer {
    server_version: Option<String>,
    statistics: Option<Statistics>,
}

impl Collector {
    /// It collects nothing until a client asks.
    pub fn new(stage: watch::Receiver<Stage>, sessions: OwnSessions, volume: Volume, major: u32) -> Self {
        let retired = RetiredSizes::default();
        Self { stage, sessions, volume, major, retired, databases: None, last: None }
    }

    /// The last answer, unless it is outdated.
    pub fn recent(&self) -> Option<String> {
        let (at, text) = self.last.as_ref()?;
        (at.elapsed() < INTERVAL).then(|| text.clone())
    }

    /// A new answer.
    pub async fn collect(&mut self) -> String {
        let runs = *self.stage.borrow() == Stage::Running;
        let answer = if runs { tokio::time::timeout(TIMEOUT, self.ask()).await.ok().flatten() } else { None };
        let snapshot = Snapshot {
            major: self.major,
            answers: answer.is_some(),
            databases_bytes: answer.as_ref().and(self.databases).and_then(|measured| measured.bytes),
            space: self.volume.space().ok(),
            retired: self.retired.current(&self.volume, self.major),
            server_version: answer.as_ref().and_then(|answer| answer.server_version.clone()),
            statistics: answer.and_then(|answer| answer.statistics),
        };
        let text = text(&snapshot);
        self.last = Some((Instant::now(), text.clone()));
        text
    }

    /// Asks the server; none if it accepts no session.
    async fn ask(&mut self) -> Option<Answer> {
        let OwnSession { client, server_version } = self.sessions.open().await.ok()?;
        let statistics = async {
            statistics::prepare(&client).await?;
            statistics::read(&client, self.major).await
        };
        let statistics = statistics.await.map_err(|error| log(&error)).ok();
        if statistics.is_some() && self.databases.is_none_or(|last| last.at.elapsed() >= SIZE_INTERVAL) {
            // Set before the answer: one that does not come is not asked for again and again.
            self.databases =
                Some(Measured { at: Instant::now(), bytes: self.databases.and_then(|it| it.bytes) });
            let bytes = statistics::databases_size(&client).await.map_err(|error| log(&error)).ok();
            self.databases = Some(Measured { at: Instant::now(), bytes });
        }
        Some(Answer { server_version, statistics })
    }
}

/// By its code alone: the message may quote names of users.
fn log(error: &tokio_postgres::Error) {
    let code = error.code().map_or("no SQLSTATE", |code| code.code());
    tracing::debug!(code, "the server did not answer a query for metrics");
}
