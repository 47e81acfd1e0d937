//! The subject: the upgrade as pgops does it, with a client that writes all the while.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use pgops_api::names;
use pgops_api::plan::{Step, UpgradeKind};

use super::case::Case;
use super::memory::{self, Peak};
use pgops_e2e::Database;
use pgops_e2e::probe::Probe;

const REQUEST: &str = "upgrade";
/// From one write of the client to the next: what the outage is measured with.
const INTERVAL: Duration = Duration::from_millis(10);

/// What an upgrade was like. Times are in seconds.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The longest time between two writes that were acknowledged.
    pub outage: f64,
    /// What the request's status says of it.
    pub told: f64,
    /// How long each step of the outage took, as the request's report says.
    pub steps: Vec<(Step, f64)>,
    /// Memory of the worker, where it could be seen.
    pub memory: Option<Peak>,
}

/// Upgrades the database. Fails unless every write that was acknowledged is there afterwards.
pub async fn measure(database: &Database, case: &Case) -> anyhow::Result<Subject> {
    let ns = database.namespace();
    let probe = Probe::start_every(database, INTERVAL).await?;
    let upgrade = ns.upgrade(REQUEST).database(database.name()).to(&case.to);
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, case.mode.name()).create().await?;
    let mut memory = None;
    let request = tokio::select! {
        ended = upgrade.wait_successful() => ended?,
        failed = memory::follow(&upgrade, &mut memory) => match failed? {},
    };
    let summary = probe.stop().await?;
    let told = request.status.and_then(|status| status.outage).context("the request tells no outage")?;
    let report = ns.api::<ConfigMap>().get(&names::report(REQUEST)).await?;
    let report =
        report.data.and_then(|mut data| data.remove("report")).context("the request has no report")?;
    let steps = steps(&report);
    ensure!(!steps.is_empty(), "the request's report tells no step of the outage: {report}");
    Ok(Subject {
        outage: Duration::from_millis(summary.longest_gap_milliseconds).as_secs_f64(),
        told: seconds(&told).with_context(|| format!("the outage is told as \"{told}\""))?,
        steps,
        memory,
    })
}

/// The steps of the outage in a report, whose lines are such as `PgUpgraded    3.3s`.
fn steps(report: &str) -> Vec<(Step, f64)> {
    let first = |step: &&Step| **step != Step::StopDatabase;
    let during = Step::sequence(UpgradeKind::Major).iter().skip_while(first);
    let mut steps = Vec::new();
    for step in during {
        let line = report.lines().find_map(|line| line.strip_prefix(&step.to_string())?.strip_prefix(' '));
        steps.extend(line.and_then(|rest| seconds(rest.trim())).map(|seconds| (*step, seconds)));
        if *step == Step::StartDatabase {
            break;
        }
    }
    steps
}

/// 3.3 of `3.3s`.
fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_of_the_outage_are_read_from_the_report() {
        let report = "demo/orders is on 17.11 after 7.5s of outage\n\n\
                      PauseDatabase                 0.1s\nStopDatabase                  1.9s\n\
                      PgUpgraded                    3.3s\nStartDatabase                 2.2s\n\
                      VerifyDatabase                0.2s\n";
        let expected = [(Step::StopDatabase, 1.9), (Step::PgUpgraded, 3.3), (Step::StartDatabase, 2.2)];
        assert_eq!(steps(report), expected);
    }

    #[test]
    fn a_time_has_its_unit() {
        assert_eq!(seconds("12.5s"), Some(12.5));
        assert_eq!(seconds("12.5"), None);
    }
}
