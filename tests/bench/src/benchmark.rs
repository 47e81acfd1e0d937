//! Measures all cases.

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::Context;
use pgops_e2e::{Cluster, Namespace, volume_pool};

use crate::case::Case;
use crate::floor::Floor;
use crate::report::Report;
use crate::storage::Storage;
use crate::subject::Subject;
use crate::{data, floor, metrics, subject};

const DATABASE: &str = "orders";
/// Directory of the results, in the checkout.
pub const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench");

/// Measures every case.
pub async fn run(cases: Vec<Case>, rounds: NonZeroU32) -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    let mut report = Report::create(Path::new(DIRECTORY), "upgrade")?;
    let mut outages: Vec<(Case, f64)> = Vec::new();
    for case in cases {
        let mut measured = Vec::new();
        for _ in 0..rounds.get() {
            let (floor, subject) = measure(&cluster, &case).await.with_context(|| format!("case {case}"))?;
            measured.push(metrics::of_round(floor, &subject));
        }
        let mut metrics = metrics::medians(&measured);
        let outage = metrics.first().map_or(f64::NAN, |outage| outage.value);
        metrics.extend(metrics::growth(&outages, &case, outage));
        report.add(&case.to_string(), &metrics)?;
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
            let storage = Storage::create(ns, case).await?;
            let result = measure_on(ns, case, &storage).await;
            storage.delete().await?;
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
