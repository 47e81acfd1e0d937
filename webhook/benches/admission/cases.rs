//! The cases of the benchmark.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::client::{Connection, Target};
use crate::fake_api_server::FakeApiServer;
use crate::load::{self, Sample};
use crate::process::Program;
use crate::report::Report;
use crate::review::Review;
use crate::{floor, subject};

/// Directory of the results, in the checkout.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");

/// Many more clients than the program keeps connections of.
const IDLE_CONNECTIONS: u32 = 5_000;

/// Which cases are measured, for how long and how often.
struct Effort {
    /// Substring of the names of the cases to run; empty for all.
    only: String,
    /// Duration of one load.
    duration: Duration,
    /// Number of rounds; in each, floor and subject are measured once.
    rounds: u32,
}

impl Effort {
    fn from_env() -> anyhow::Result<Self> {
        let read = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let seconds =
            read("PGOPS_BENCH_SECONDS", "3").parse().context("PGOPS_BENCH_SECONDS is not a number")?;
        let rounds = read("PGOPS_BENCH_ROUNDS", "5").parse::<NonZeroU32>();
        let duration =
            Duration::try_from_secs_f64(seconds).context("PGOPS_BENCH_SECONDS is not a duration")?;
        let rounds = rounds.context("PGOPS_BENCH_ROUNDS is not a number above 0")?.get();
        Ok(Self { only: read("PGOPS_BENCH_CASE", ""), duration, rounds })
    }
}

/// A server under load.
struct Server {
    program: Program,
    target: Target,
}

/// Measures all cases.
pub fn run() -> anyhow::Result<()> {
    let effort = Effort::from_env()?;
    let directory = Path::new(DIRECTORY);
    let mut report = Report::create(directory)?;

    let api_server = FakeApiServer::start()?;
    let mut ready = Vec::new();
    for _ in 1..effort.rounds {
        ready.push(subject::start(&api_server, directory)?.2.as_secs_f64());
    }
    let (program, target, last) = subject::start(&api_server, directory)?;
    ready.push(last.as_secs_f64());
    report.add("start", "ready", median(ready), "s")?;
    let subject = Server { program, target };
    let (resident, peak) = subject.program.memory()?;
    report.add("memory", "caches filled", resident, "MiB")?;
    report.add("memory", "peak of the start", peak, "MiB")?;

    let (program, target) = floor::start()?;
    let floor = Server { program, target };
    let mut bench = Bench { effort, report, floor, subject };
    bench.typical()?;
    let (resident, _) = bench.subject.program.memory()?;
    bench.report.add("memory", "after the load", resident, "MiB")?;
    bench.others()?;
    let (resident, _) = bench.subject.program.memory()?;
    bench.report.add("memory", "after large objects", resident, "MiB")?;
    bench.idle_connections()?;
    let (_, peak) = bench.subject.program.memory()?;
    bench.report.add("memory", "peak", peak, "MiB")
}

struct Bench {
    effort: Effort,
    report: Report,
    floor: Server,
    subject: Server,
}

impl Bench {
    /// The cases with goals.
    fn typical(&mut self) -> anyhow::Result<()> {
        let review = Review::typical()?;
        let duration = self.effort.duration;
        self.compare("one connection", |target| load::closed(target, &review, 1, duration))?;
        self.compare("16 connections", |target| load::closed(target, &review, 16, duration))?;
        self.compare("1000/s on 4 connections", |target| load::open(target, &review, 4, 1000, duration))
    }

    /// The cases that show the cost of other reviews and of new connections.
    fn others(&mut self) -> anyhow::Result<()> {
        let duration = self.effort.duration;
        let reviews = [
            ("refused: unknown target", Review::unknown_target()?),
            ("refused: constraints", Review::out_of_constraints()?),
            ("1 MiB object", Review::large()?),
        ];
        for (case, review) in &reviews {
            self.compare(case, |target| load::closed(target, review, 1, duration))?;
        }
        let review = Review::typical()?;
        self.compare("new connections", |target| load::cold(target, &review, 2, duration))?;
        self.compare("resumed connections", |target| load::cold(&target.resuming(), &review, 2, duration))
    }

    /// The memory of the program while many clients keep a connection open, and whether it still answers a new one.
    fn idle_connections(&mut self) -> anyhow::Result<()> {
        let case = format!("{IDLE_CONNECTIONS} idle connections");
        if !case.contains(&self.effort.only) {
            return Ok(());
        }
        let review = Review::typical()?;
        let sockets = load::idle(&self.subject.target, &review, IDLE_CONNECTIONS)?;
        let (resident, _) = self.subject.program.memory()?;
        self.report.add(&case, "resident", resident, "MiB")?;
        let begin = Instant::now();
        let mut connection = Connection::open(&self.subject.target)?;
        review.prepare(&self.subject.target, IDLE_CONNECTIONS).send(&mut connection)?;
        self.report.add(&case, "another review", begin.elapsed().as_secs_f64() * 1e6, "us")?;
        drop(sockets);
        Ok(())
    }

    /// Measures floor and subject in turn, and reports the medians of the rounds and of their ratios.
    fn compare(
        &mut self,
        case: &str,
        load: impl Fn(&Target) -> anyhow::Result<Sample>,
    ) -> anyhow::Result<()> {
        if !case.contains(&self.effort.only) {
            return Ok(());
        }
        let mut rounds = Vec::new();
        for round in 0..self.effort.rounds {
            let measure = |server: &Server| {
                Figures::measure(server, &load).with_context(|| format!("{case}: the round failed"))
            };
            // The order alternates, so that neither always starts on a warm or a hot machine.
            let pair = if round % 2 == 0 {
                let floor = measure(&self.floor)?;
                (floor, measure(&self.subject)?)
            } else {
                let subject = measure(&self.subject)?;
                (measure(&self.floor)?, subject)
            };
            rounds.push(pair);
        }
        let units = ["reviews/s", "us", "us", "us"];
        let names = ["throughput", "p50", "p99", "cpu a review"];
        for (at, (name, unit)) in names.into_iter().zip(units).enumerate() {
            let median_of = |value: fn(f64, f64) -> f64| {
                median(rounds.iter().map(|(floor, subject)| value(floor.0[at], subject.0[at])).collect())
            };
            let medians = [
                median_of(|_, subject| subject),
                median_of(|floor, _| floor),
                median_of(|floor, subject| subject / floor),
            ];
            self.report.compare(case, name, medians, unit)?;
        }
        Ok(())
    }
}

/// Reviews per second; then, in microseconds, median and 99th percentile of the latency and the server's own
/// CPU time per review.
struct Figures([f64; 4]);

impl Figures {
    fn measure(server: &Server, load: impl Fn(&Target) -> anyhow::Result<Sample>) -> anyhow::Result<Self> {
        let before = server.program.cpu()?;
        let sample = load(&server.target)?;
        let used = server.program.cpu()?.saturating_sub(before);
        let cpu = used.as_secs_f64() * 1e6 / f64::from(sample.count());
        Ok(Self([sample.rate(), sample.quantile(500), sample.quantile(990), cpu]))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
