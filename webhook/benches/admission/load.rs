//! Load: reviews as fast as they are answered, or by the clock.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::client::{Connection, Target};
use crate::review::{Asked, Review};

/// Reviews whose time does not count, at the beginning of each connection.
const WARM_UP: u32 = 20;

/// What a load came to.
pub struct Sample {
    /// From the first review to the last.
    pub elapsed: Duration,
    /// One of each review, shortest first.
    pub latencies: Vec<Duration>,
}

impl Sample {
    /// Reviews a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.count()) / self.elapsed.as_secs_f64()
    }

    /// How many were answered.
    pub fn count(&self) -> u32 {
        u32::try_from(self.latencies.len()).unwrap_or(u32::MAX)
    }

    /// The latency that so many of a thousand do not exceed, in microseconds.
    pub fn quantile(&self, thousandths: usize) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let latency = self.latencies.get(last * thousandths / 1000).copied().unwrap_or_default();
        latency.as_secs_f64() * 1e6
    }
}

/// Each connection asks again as soon as it was answered.
pub fn closed(target: &Target, review: &Review, connections: u32, time: Duration) -> anyhow::Result<Sample> {
    on_threads(Asking::warm(target, review, connections)?, |mut asking, begin| {
        let mut latencies = Vec::new();
        let mut last = begin;
        while last - begin < time {
            asking.ask()?;
            let now = Instant::now();
            latencies.push(now - last);
            last = now;
        }
        Ok(latencies)
    })
}

/// So many reviews a second, whether the last ones are answered or not: a latency counts from when the
/// review was due, so a server that stalls is charged with all that it kept waiting.
pub fn open(
    target: &Target,
    review: &Review,
    connections: u32,
    rate: u32,
    time: Duration,
) -> anyhow::Result<Sample> {
    let period = Duration::from_secs(1) / rate;
    let askings = Asking::warm(target, review, connections)?;
    on_threads((0..).zip(askings).collect(), |(number, mut asking), begin| {
        let mut latencies = Vec::new();
        let mut due = begin + period * number;
        while due - begin < time {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            asking.ask()?;
            latencies.push(due.elapsed());
            due += period * connections;
        }
        Ok(latencies)
    })
}

/// Each thread connects, shakes hands, has one review answered, and begins anew.
pub fn cold(target: &Target, review: &Review, threads: u32, time: Duration) -> anyhow::Result<Sample> {
    let askings = (0..threads).map(|number| review.asked_of(target, number)).collect();
    on_threads(askings, |mut asking: Asked, begin| {
        let mut latencies = Vec::new();
        let mut last = begin;
        while last - begin < time {
            asking.ask(&mut Connection::open(target)?)?;
            let now = Instant::now();
            latencies.push(now - last);
            last = now;
        }
        Ok(latencies)
    })
}

/// A connection and what is asked on it.
struct Asking {
    connection: Connection,
    asked: Asked,
}

impl Asking {
    fn warm(target: &Target, review: &Review, connections: u32) -> anyhow::Result<Vec<Self>> {
        let warm = |number| {
            let connection = Connection::open(target)?;
            let mut asking = Self { connection, asked: review.asked_of(target, number) };
            for _ in 0..WARM_UP {
                asking.ask()?;
            }
            Ok(asking)
        };
        (0..connections).map(warm).collect()
    }

    fn ask(&mut self) -> anyhow::Result<()> {
        self.asked.ask(&mut self.connection)
    }
}

/// Does the work with each of the states at the same time.
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
            latencies.extend(thread.join().ok().context("a thread of the load has panicked")??);
        }
        let elapsed = begin.elapsed();
        latencies.sort_unstable();
        Ok(Sample { elapsed, latencies })
    })
}
