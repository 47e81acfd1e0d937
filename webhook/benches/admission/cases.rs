//! The cases of the benchmark, one after the other.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::client::Target;
use crate::load::{self, Sample};
use crate::process::Program;
use crate::report::Report;
use crate::review::Review;
use crate::standin::StandIn;
use crate::{floor, subject};

/// Where the results are written, in the checkout.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench");

/// What is measured, for how long and how often.
struct Effort {
    /// Part of the names of the cases that are run; empty for all.
    only: String,
    /// Time of one load.
    time: Duration,
    /// How often floor and subject take turns.
    rounds: u32,
}

impl Effort {
    fn from_env() -> anyhow::Result<Self> {
        let read = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
        let seconds = read("PGOPS_BENCH_SECONDS", "3").parse().context("PGOPS_BENCH_SECONDS is no number")?;
        let rounds = read("PGOPS_BENCH_ROUNDS", "5").parse::<NonZeroU32>();
        let time = Duration::try_from_secs_f64(seconds).context("PGOPS_BENCH_SECONDS is no time")?;
        let rounds = rounds.context("PGOPS_BENCH_ROUNDS is no number above 0")?.get();
        Ok(Self { only: read("PGOPS_BENCH_CASE", ""), time, rounds })
    }
}

/// A server under load.
struct Server {
    program: Program,
    target: Target,
}

/// Measures everything.
pub fn run() -> anyhow::Result<()> {
    let effort = Effort::from_env()?;
    let directory = Path::new(DIRECTORY);
    let mut report = Report::begin(directory)?;

    let standin = StandIn::start()?;
    let mut ready = Vec::new();
    for _ in 1..effort.rounds {
        ready.push(subject::start(&standin, directory)?.2.as_secs_f64());
    }
    let (program, target, last) = subject::start(&standin, directory)?;
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
    let (resident, peak) = bench.subject.program.memory()?;
    bench.report.add("memory", "after large objects", resident, "MiB")?;
    bench.report.add("memory", "peak", peak, "MiB")
}

struct Bench {
    effort: Effort,
    report: Report,
    floor: Server,
    subject: Server,
}

impl Bench {
    /// The cases that have goals.
    fn typical(&mut self) -> anyhow::Result<()> {
        let review = Review::typical()?;
        let time = self.effort.time;
        self.compare("one connection", |target| load::closed(target, &review, 1, time))?;
        self.compare("16 connections", |target| load::closed(target, &review, 16, time))?;
        self.compare("1000/s on 4 connections", |target| load::open(target, &review, 4, 1000, time))
    }

    /// The cases that show where the time of others goes.
    fn others(&mut self) -> anyhow::Result<()> {
        let time = self.effort.time;
        let reviews = [
            ("refused: unknown target", Review::unknown_target()?),
            ("refused: constraints", Review::out_of_constraints()?),
            ("1 MiB object", Review::large()?),
        ];
        for (case, review) in &reviews {
            self.compare(case, |target| load::closed(target, review, 1, time))?;
        }
        let review = Review::typical()?;
        self.compare("new connections", |target| load::cold(target, &review, 2, time))?;
        self.compare("resumed connections", |target| load::cold(&target.resuming(), &review, 2, time))
    }

    /// Loads floor and subject in turn, and reports the medians of the rounds and of their ratios.
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
            let of = |server: &Server| {
                Figures::of(server, &load).with_context(|| format!("{case}: the round failed"))
            };
            // Who comes first changes, so that neither always inherits a warm or a hot machine.
            let pair = if round % 2 == 0 {
                let floor = of(&self.floor)?;
                (floor, of(&self.subject)?)
            } else {
                let subject = of(&self.subject)?;
                (of(&self.floor)?, subject)
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

/// Reviews a second; median and 99th percentile of the latency, and the server's own processor time a
/// review, in microseconds.
struct Figures([f64; 4]);

impl Figures {
    fn of(server: &Server, load: impl Fn(&Target) -> anyhow::Result<Sample>) -> anyhow::Result<Self> {
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
