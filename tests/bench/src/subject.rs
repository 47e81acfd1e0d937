//! The subject: the upgrade with pgops, while a client writes continuously.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use pgops_api::names;
use pgops_api::plan::{Step, UpgradeKind};

use crate::case::Case;
use crate::estimate;
use crate::memory::{self, Peak};
use pgops_e2e::Database;
use pgops_e2e::probe::Probe;

const REQUEST: &str = "upgrade";
/// Interval of the client's writes, and so the resolution of the measured outage.
const INTERVAL: Duration = Duration::from_millis(10);

/// Measurements of an upgrade. Times are in seconds.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The longest time between two acknowledged writes.
    pub outage: f64,
    /// The outage in the request's status.
    pub reported_outage: f64,
    /// The outage that the preflight has estimated, if it has rehearsed every database.
    pub estimated_outage: Option<f64>,
    /// Durations of the steps during the outage, from the request's report.
    pub steps: Vec<(Step, f64)>,
    /// Memory of the worker, if it could be read.
    pub memory: Option<Peak>,
}

/// Upgrades the database. Fails unless every acknowledged write exists afterwards.
pub async fn measure(database: &Database, case: &Case) -> anyhow::Result<Subject> {
    let ns = database.namespace();
    let probe = Probe::start_every(database, INTERVAL).await?;
    let upgrade = ns.upgrade(REQUEST).database(database.name()).to(&case.to);
    let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, case.mode.name()).create().await?;
    let mut memory = None;
    let request = tokio::select! {
        ended = upgrade.wait_successful() => ended?,
        failed = memory::sample(&upgrade, &mut memory) => match failed? {},
    };
    let summary = probe.stop().await?;
    let outage = request.status.and_then(|status| status.outage).context("status.outage is empty")?;
    let report = ns.api::<ConfigMap>().get(&names::report(REQUEST)).await?;
    let report =
        report.data.and_then(|mut data| data.remove("report")).context("the request has no report")?;
    let steps = steps(&report);
    ensure!(!steps.is_empty(), "the request's report has no step of the outage: {report}");
    Ok(Subject {
        outage: Duration::from_millis(summary.longest_gap_milliseconds).as_secs_f64(),
        reported_outage: seconds(&outage).with_context(|| format!("status.outage is \"{outage}\""))?,
        estimated_outage: estimate::in_text(&report),
        steps,
        memory,
    })
}

/// The steps of the outage in a report, with lines such as `PgUpgraded    3.3s`.
fn steps(report: &str) -> Vec<(Step, f64)> {
    let is_before = |step: &&Step| **step != Step::StopDatabase;
    let during = Step::sequence(UpgradeKind::Major).iter().skip_while(is_before);
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
pub fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_outage_are_read_from_the_report() {
        let report = "demo/orders is on 17.11 after 7.5s of outage\n\n\
                      PauseDatabase                 0.1s\nStopDatabase                  1.9s\n\
                      PgUpgraded                    3.3s\nStartDatabase                 2.2s\n\
                      VerifyDatabase                0.2s\n";
        let expected = [(Step::StopDatabase, 1.9), (Step::PgUpgraded, 3.3), (Step::StartDatabase, 2.2)];
        assert_eq!(steps(report), expected);
    }

    #[test]
    fn seconds_require_their_unit() {
        assert_eq!(seconds("12.5s"), Some(12.5));
        assert_eq!(seconds("12.5"), None);
    }
}
