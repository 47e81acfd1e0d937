//! Load generators: closed loop, open loop, a new connection per review, and idle connections.

use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{Connection, Target};
use crate::review::{PreparedReview, Review};

/// Unmeasured reviews at the start of each connection.
const WARM_UP: u32 = 20;

/// The result of a load.
pub struct Sample {
    /// Time from the first review to the last.
    pub elapsed: Duration,
    /// The latencies of all reviews, ascending.
    pub latencies: Vec<Duration>,
}

impl Sample {
    /// Reviews per second.
    pub fn rate(&self) -> f64 {
        f64::from(self.count()) / self.elapsed.as_secs_f64()
    }

    /// Number of reviews.
    pub fn count(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    /// The quantile of the latencies in microseconds, given in thousandths.
    pub fn quantile(&self, thousandths: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let latency = self.latencies.get(last * thousandths / 1000).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e6
    }
}

/// Each connection sends the next review as soon as the previous one is answered.
pub fn closed(target: &Target, review: &Review, connections: u32, time: Duration) -> anyhow::Result<Sample> {
    on_threads(Session::warm(target, review, connections)?, |mut session, begin| {
        let mut latencies = Vec::new();
        let mut last = begin;
        while last - begin < time {
            session.send()?;
            let now = Instant::now();
            latencies.push(now - last);
            last = now;
        }
        Ok(latencies)
    })
}

/// Sends reviews at a fixed rate, whether the previous ones are answered or not. Latency is measured from the
/// time at which the review was due, so a stalled server is charged with every review that it delayed.
pub fn open(
    target: &Target,
    review: &Review,
    connections: u32,
    rate: u32,
    time: Duration,
) -> anyhow::Result<Sample> {
    let period = Duration::from_secs(1) / rate;
    let sessions = Session::warm(target, review, connections)?;
    on_threads((0..).zip(sessions).collect(), |(number, mut session), begin| {
        let mut latencies = Vec::new();
        let mut due = begin + period * number;
        while due - begin < time {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            session.send()?;
            latencies.push(due.elapsed());
            due += period * connections;
        }
        Ok(latencies)
    })
}

/// Each thread connects for every review, including the TLS handshake.
pub fn cold(target: &Target, review: &Review, threads: u32, time: Duration) -> anyhow::Result<Sample> {
    let reviews = (0..threads).map(|number| review.prepare(target, number)).collect();
    on_threads(reviews, |mut review: PreparedReview, begin| {
        let mut latencies = Vec::new();
        let mut last = begin;
        while last - begin < time {
            review.send(&mut Connection::open(target)?)?;
            let now = Instant::now();
            latencies.push(now - last);
            last = now;
        }
        Ok(latencies)
    })
}

/// Sends one review on each of N new connections, and leaves them open.
pub fn idle(target: &Target, review: &Review, connections: u32) -> anyhow::Result<Vec<TcpStream>> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .context("failed to raise the limit on open files")?;
    let mut sockets = Vec::new();
    for number in 0..connections {
        let mut connection = Connection::open(target)?;
        review.prepare(target, number).send(&mut connection)?;
        sockets.push(connection.into_socket());
    }
    Ok(sockets)
}

/// A connection and its review.
struct Session {
    connection: Connection,
    review: PreparedReview,
}

impl Session {
    fn warm(target: &Target, review: &Review, connections: u32) -> anyhow::Result<Vec<Self>> {
        let warm = |number| {
            let connection = Connection::open(target)?;
            let mut session = Self { connection, review: review.prepare(target, number) };
            for _ in 0..WARM_UP {
                session.send()?;
            }
            Ok(session)
        };
        (0..connections).map(warm).collect()
    }

    fn send(&mut self) -> anyhow::Result<()> {
        self.review.send(&mut self.connection)
    }
}

/// Runs the work on one thread per state, all starting together.
fn on_threads<T: Send>(
    states: Vec<T>,
    work: impl Fn(T, Instant) -> anyhow::Result<Vec<Duration>> + Sync,
) -> anyhow::Result<Sample> {
    let start = Barrier::new(states.len());
    let begin_together = |state| {
        start.wait();
        work(state, Instant::now())
    };
    thread::scope(|scope| {
        let begin_together = &begin_together;
        let begin = Instant::now();
        let threads: Vec<_> =
            states.into_iter().map(|state| scope.spawn(move || begin_together(state))).collect();
        let mut latencies = Vec::new();
        for thread in threads {
            latencies.extend(thread.join().ok().context("a thread of the load generator panicked")??);
        }
        let elapsed = begin.elapsed();
        latencies.sort_unstable();
        Ok(Sample { elapsed, latencies })
    })
}
