//! The questions to one server, repeated for as long as the watcher exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::answers::{Event, Said};
use super::overlap::Answer;
use super::server::Server;

/// Table with the numbers of all rows that the watcher writes.
pub(super) const TABLE: &str = "watched";

const INTERVAL: Duration = Duration::from_millis(100);
/// A connection on a busy machine takes a while.
const ROLE_LIMIT: Duration = Duration::from_secs(3);
/// A commit that waits for standbys occupies a connection of the server until it ends, whether or not its client waits.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// What is common to the questions to one server.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) start: Instant,
    /// Whether it was the primary when it was last asked.
    pub(super) is_primary: Arc<AtomicBool>,
    /// The next number to write.
    pub(super) number: Arc<AtomicU64>,
    pub(super) events: UnboundedSender<Event>,
}

impl Watched {
    /// Asks whether the server is the primary.
    pub(super) async fn ask_role(self, mut server: Server) {
        let mut ticks = ticks();
        loop {
            ticks.tick().await;
            let asked = self.start.elapsed();
            let query = "SELECT pg_is_in_recovery(), pg_postmaster_start_time()";
            let row = server.row(query, ROLE_LIMIT).await;
            let Some([in_recovery, started]) = row.as_deref() else {
                self.is_primary.store(false, Ordering::Relaxed);
                continue;
            };
            let is_primary = in_recovery == "f";
            self.is_primary.store(is_primary, Ordering::Relaxed);
            let said = if is_primary { Said::Primary } else { Said::Standby };
            self.report(&server, said, asked, started);
        }
    }

    /// Writes a row if the server is the primary.
    pub(super) async fn write(self, mut server: Server) {
        let mut ticks = ticks();
        loop {
            ticks.tick().await;
            if !self.is_primary.load(Ordering::Relaxed) {
                continue;
            }
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            let sql = format!("INSERT INTO {TABLE} VALUES ({number}) RETURNING pg_postmaster_start_time()");
            let asked = self.start.elapsed();
            let row = server.row(&sql, WRITE_LIMIT).await;
            if let Some([started]) = row.as_deref() {
                self.report(&server, Said::Wrote(number), asked, started);
            }
        }
    }

    fn report(&self, server: &Server, said: Said, asked: Duration, started: &str) {
        let answer = Answer { started: started.to_owned(), asked, received: self.start.elapsed() };
        // Without a receiver, the watcher has ended, and so does this task.
        let _ = self.events.send(Event { server: server.pod().to_owned(), said, answer });
    }
}

fn ticks() -> Interval {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
