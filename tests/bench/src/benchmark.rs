//! `make bench-upgrade`: how long an upgrade's outage is.
//!
//! Each case is measured twice on the same data: by pgops, with a client that writes all the while, and as a floor, by
//! hand in one container. What is compared is a ratio. Take turns, one after the other: what else the machine does
//! falls on both.

mod case;
mod data;
mod floor;
mod memory;
mod report;
mod subject;

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::Context;
use pgops_api::plan::TransferMode;
use serde_json::{Value, json};

use case::{Case, USUAL};
use clap::Parser;
use floor::Floor;
use pgops_e2e::{Cluster, FileSystem, LoopVolume, Namespace, volume_pool};
use report::Report;
use subject::Subject;

const DATABASE: &str = "orders";
/// Where the results are written, in the checkout.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench");
/// Size of the claims.
const STORAGE: &str = "10Gi";
/// Size of file systems of their own: what is not written takes no room.
const LOOP_MEBIBYTES: u64 = 24 * 1024;

/// How the benchmark is called.
#[derive(Clone, Debug, Parser)]
#[command(about = "Measures the outage of upgrades on a cluster, against the same upgrades by hand")]
struct Options {
    /// What to measure: FROM:TO/MODE/TABLES/GIGABYTES, separated by blanks
    #[arg(long, env = "PGOPS_BENCH_CASE", default_value = USUAL)]
    cases: String,
    /// How often each is measured; the medians are reported
    #[arg(long, env = "PGOPS_BENCH_ROUNDS", default_value = "1")]
    rounds: NonZeroU32,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
struct Metric {
    name: String,
    value: f64,
    unit: &'static str,
}

impl Metric {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Options::parse()).await
}

/// Measures every case.
async fn run(options: Options) -> anyhow::Result<()> {
    let cases = Case::list(&options.cases)?;
    let cluster = Cluster::connect().await?;
    let mut report = Report::begin(Path::new(DIRECTORY))?;
    let mut outages: Vec<(Case, f64)> = Vec::new();
    for case in cases {
        let mut rounds = Vec::new();
        for _ in 0..options.rounds.get() {
            let (floor, subject) = measure(&cluster, &case).await.with_context(|| format!("case {case}"))?;
            rounds.push(values(floor, &subject));
        }
        let mut values = medians(&rounds);
        let outage = values.first().map_or(f64::NAN, |outage| outage.value);
        values.extend(growth(&outages, &case, outage));
        report.add(&case.to_string(), &values)?;
        outages.push((case, outage));
    }
    volume_pool::recycle_volumes().await
}

/// Measures floor and subject once.
async fn measure(cluster: &Cluster, case: &Case) -> anyhow::Result<(Floor, Subject)> {
    volume_pool::recycle_volumes().await?;
    let mut measured = None;
    cluster
        .with_namespace(async |ns| {
            let storage = Storage::make(ns, case).await?;
            let result = measure_on(ns, case, &storage).await;
            storage.withdraw().await?;
            measured = Some(result?);
            Ok(())
        })
        .await?;
    measured.context("nothing was measured")
}

async fn measure_on(ns: &Namespace, case: &Case, storage: &Storage) -> anyhow::Result<(Floor, Subject)> {
    let [of_subject, of_floor] = storage.claims();
    let database = ns.postgres(DATABASE).version(&case.from).field("storage", of_subject).ready().await?;
    data::fill(&database, case).await?;
    let floor = floor::measure(&database, case, &of_floor).await?;
    Ok((floor, subject::measure(&database, case).await?))
}

/// Where the data of subject and floor is.
enum Storage {
    /// Volumes of the cluster's default class.
    Default,
    /// File systems that can clone.
    Clones(Box<[LoopVolume; 2]>),
}

impl Storage {
    async fn make(ns: &Namespace, case: &Case) -> anyhow::Result<Self> {
        if case.mode != TransferMode::Clone {
            return Ok(Self::Default);
        }
        let make = async |whose: &str| {
            let name = format!("{}-{whose}", ns.name());
            LoopVolume::create(ns.cluster(), &name, FileSystem::XfsWithReflinks, LOOP_MEBIBYTES).await
        };
        Ok(Self::Clones(Box::new([make("subject").await?, make("floor").await?])))
    }

    /// The claims of subject and floor.
    fn claims(&self) -> [Value; 2] {
        match self {
            Self::Default => [(); 2].map(|()| {
                json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": STORAGE}}})
            }),
            Self::Clones(volumes) => volumes.each_ref().map(LoopVolume::claim),
        }
    }

    async fn withdraw(&self) -> anyhow::Result<()> {
        match self {
            Self::Default => Ok(()),
            Self::Clones(volumes) => {
                for volume in &**volumes {
                    volume.delete().await?;
                }
                Ok(())
            }
        }
    }
}

/// The values of one round; the outage comes first.
fn values(floor: Floor, subject: &Subject) -> Vec<Metric> {
    let mut values = vec![
        Metric::new("outage", subject.outage, "s"),
        Metric::new("outage of the floor", floor.outage(), "s"),
        Metric::new("ratio", subject.outage / floor.outage(), ""),
        Metric::new("outage in the status", subject.told, "s"),
    ];
    values.extend(subject.steps.iter().map(|(step, seconds)| Metric::new(step.to_string(), *seconds, "s")));
    let of_floor = |(part, seconds)| Metric::new(format!("{part} of the floor"), seconds, "s");
    values.extend(floor.parts().map(of_floor));
    if let Some(peak) = subject.memory {
        values.push(Metric::new("memory of the worker", peak.anonymous, "MiB"));
        values.push(Metric::new("memory with cached files", peak.charged, "MiB"));
    }
    values
}

/// The median of each metric over the rounds that have it.
fn medians(rounds: &[Vec<Metric>]) -> Vec<Metric> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let median = |value: &Metric| {
        let same = |other: &&Metric| other.name == value.name;
        let mut all: Vec<_> = rounds.iter().flatten().filter(same).map(|value| value.value).collect();
        all.sort_by(f64::total_cmp);
        Metric { value: all.get(all.len() / 2).copied().unwrap_or(f64::NAN), ..value.clone() }
    };
    first.iter().map(median).collect()
}

/// Where nothing is copied the outage must not grow with the data: the ratio to the smallest database of the same shape.
fn growth(before: &[(Case, f64)], case: &Case, outage: f64) -> Option<Metric> {
    let sizes = before.iter().filter(|(other, _)| !case.mode.copies() && case.is_another_size_of(other));
    let (smallest, least) = sizes.min_by(|a, b| a.0.gigabytes.total_cmp(&b.0.gigabytes))?;
    (smallest.gigabytes < case.gigabytes).then(|| Metric::new("growth", outage / least, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        text.parse().unwrap()
    }

    #[test]
    fn the_ratio_is_that_of_the_outages() {
        let subject = Subject {
            outage: 5.0,
            told: 5.2,
            steps: vec![(pgops_api::plan::Step::PgUpgraded, 3.0)],
            memory: None,
        };
        let values = values(Floor { stop: 500, pg_upgrade: 3000, start: 500 }, &subject);
        let find = |metric: &str| values.iter().find(|value| value.name == metric).map(|value| value.value);
        assert_eq!((find("outage"), find("ratio"), find("PgUpgraded")), (Some(5.0), Some(1.25), Some(3.0)));
        assert_eq!(find("memory of the worker"), None);
    }

    #[test]
    fn rounds_are_told_by_their_medians() {
        let round = |value| vec![Metric::new("outage", value, "s")];
        assert_eq!(medians(&[round(9.0), round(4.0), round(5.0)]), round(5.0));
        assert_eq!(medians(&[]), []);
    }

    #[test]
    fn growth_is_told_of_links_against_the_smallest() {
        let before = [
            (case("13.16:17.11/link/1/1"), 5.0),
            (case("13.16:17.11/link/1/0.1"), 4.0),
            (case("13.16:17.11/copy/1/0.1"), 2.0),
        ];
        let growth = |name: &str, outage| growth(&before, &case(name), outage).map(|value| value.value);
        assert_eq!(growth("13.16:17.11/link/1/10", 6.0), Some(1.5));
        assert_eq!(growth("13.16:17.11/link/1/0.01", 6.0), None);
        assert_eq!(growth("13.16:17.11/link/1000/10", 6.0), None);
        assert_eq!(growth("13.16:17.11/copy/1/10", 6.0), None);
    }
}
