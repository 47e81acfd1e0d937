//! The life of the process: it executes the plan of the Job's environment, and ends on SIGTERM.

use std::fs;
use std::process::ExitCode;

use pgops_api::condition::MAX_MESSAGE;
use pgops_api::plan::{EXIT_ENDED, PLAN_VARIABLE, ParsePlanError, Scope, Step, UpgradeKind, UpgradePlan};
use pgops_api::{bounded, display_chain, layout, names};
use pgops_volume::Volume;
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::{Agent, Agents};
use crate::cluster::{Cluster, ClusterError};
use crate::logging;
use crate::saga::{
    self, ConfigMapJournal, FileJournal, Journal, JournalError, MemoryJournal, Outcome, Record, SagaError,
};
use crate::summary::Summary;
use crate::upgrade::{StepError, UpgradeContext};

/// The upgrade did not end, or its end could not be recorded; the Job starts another runner.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("failed to read the plan from {PLAN_VARIABLE}: only the launcher creates this Job")]
    NoPlan(#[source] std::env::VarError),
    /// The plan is from another release of pgops.
    #[error(transparent)]
    Plan(#[from] ParsePlanError),
    #[error("failed to start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error(
        "failed to get the connections to the other containers: only PID 1 of its container starts the runner"
    )]
    Agents(#[source] std::io::Error),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("{step} was interrupted, and the next pod continues from the journal: {message}")]
    Interrupted { step: Step, message: String },
}

impl From<SagaError> for RunError {
    fn from(error: SagaError) -> Self {
        match error {
            SagaError::Journal(error) => Self::Journal(error),
            SagaError::Interrupted { step, failure } => Self::Interrupted { step, message: failure.message },
        }
    }
}

impl RunError {
    /// Whether the next pod would fail alike: it would find the same plan, the same journal, or the same object of another
    /// owner.
    fn is_permanent(&self) -> bool {
        match self {
            Self::Plan(_) | Self::Journal(JournalError::Garbled { .. } | JournalError::Newer { .. }) => true,
            Self::Cluster(error)
            | Self::Journal(JournalError::Report(error))
            | Self::Step(StepError::Cluster(error)) => error.is_foreign(),
            _ => false,
        }
    }
}

/// The longest part of the report that this writes, in bytes: the report is a `ConfigMap` of at most 1 MiB.
const MAX_REPORT: usize = 240 << 10;

/// Runs the upgrade until it ends. Exit status 42 says that the request has ended without success.
pub fn run() -> Result<ExitCode, RunError> {
    logging::init();
    let result = run_plan();
    if let Err(error) = &result {
        tracing::error!("{}", display_chain(error));
        write_termination_message(&display_chain(error));
    }
    match result {
        Err(error) if error.is_permanent() => Ok(ExitCode::from(EXIT_ENDED)),
        result => result,
    }
}

fn run_plan() -> Result<ExitCode, RunError> {
    // Data directories and everything else that is written belong to the database's user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let json = std::env::var(PLAN_VARIABLE).map_err(RunError::NoPlan)?;
    let plan = UpgradePlan::from_json(&json)?;
    let runtime = tokio::runtime::Runtime::new().map_err(RunError::Runtime)?;
    let result = runtime.block_on(async {
        // Kept beyond the upgrade: when they are dropped, the agents kill everything that runs.
        let agents = Agents::inherited().map_err(RunError::Agents)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Runtime)?;
        tokio::select! {
            result = execute(&plan, agents.clone()) => result,
            _ = terminate.recv() => {
                tracing::warn!("this pod is being stopped; the next one continues from the journal");
                stop_servers(&plan, &agents.programs).await;
                Ok(ExitCode::FAILURE)
            }
        }
    });
    // The status writer may hang on an API server that is unavailable: the journal has everything.
    runtime.shutdown_background();
    result
}

async fn execute(plan: &UpgradePlan, agents: Agents) -> Result<ExitCode, RunError> {
    let cluster = Cluster::connect(plan)?;
    let request = cluster.request().await?;
    if request.phase().is_terminal() {
        tracing::info!("request {} has ended already", plan.request);
        return Ok(ExitCode::from(EXIT_ENDED));
    }
    let mut upgrade = UpgradeContext::new(plan.clone(), cluster.clone(), agents)?;
    upgrade.recall_digests().await?;
    tracing::info!("{}/{}: {} to {}", plan.namespace, plan.database, plan.from.name, plan.to.name);
    let (outcome, records) = run_saga(&mut upgrade).await?;
    // The upgrade has ended even if they cannot be read.
    if let Err(error) = upgrade.recall_minor_lines().await {
        tracing::warn!("{}", display_chain(&error));
    }
    let summary = Summary {
        plan,
        outcome: &outcome,
        outage: upgrade.reporter.outage(),
        records: &records,
        preflight_lines: upgrade.preflight_lines(),
        kept: kept_old_data(&upgrade, &outcome),
    };
    // What is appended below fits into the condition too.
    let message = bounded(summary.message(), MAX_MESSAGE - 2048, " (all of it is in the report)");
    let report = bounded(summary.report(), MAX_REPORT, " (the rest is in the Job's log)");
    // This releases the interlock; a cancellation is no longer honoured.
    let reporter = upgrade.into_reporter();
    write_termination_message(&message);
    let message = match cluster.write_report("report", &report).await {
        Ok(()) => with_report_name(message, plan, &cluster.report_name()),
        Err(error) => {
            tracing::warn!("{}", display_chain(&error));
            format!("{message}. There is no report: {}", display_chain(&error))
        }
    };
    reporter.end(&outcome, message.clone()).await?;
    Ok(match outcome {
        Outcome::Upgraded => {
            tracing::info!(mark = "ok", "{message}");
            ExitCode::SUCCESS
        }
        Outcome::RolledBack { .. } | Outcome::Stuck { .. } => {
            tracing::error!("{message}");
            ExitCode::from(EXIT_ENDED)
        }
    })
}

/// Names the report in the message if it is not where users look for it.
fn with_report_name(message: String, plan: &UpgradePlan, report: &str) -> String {
    let usual = names::report(&plan.request);
    if report == usual {
        return message;
    }
    format!("{message}. The report is in ConfigMap {report}: another object has the name {usual}")
}

/// Runs the saga until it ends, with the journal of its kind; returns its outcome and records.
async fn run_saga(upgrade: &mut UpgradeContext) -> Result<(Outcome, Vec<Record>), RunError> {
    let steps = upgrade.plan.scope.steps(upgrade.kind);
    let work_dir = upgrade.work_dir.clone();
    match (upgrade.plan.scope, upgrade.kind) {
        (Scope::DryRun, _) => {
            let ended = run_with_journal(steps, upgrade, MemoryJournal::default()).await?;
            work_dir.remove_if_empty();
            Ok(ended)
        }
        (Scope::Upgrade, UpgradeKind::Major) => {
            work_dir.create().map_err(StepError::from)?;
            work_dir.make_reserve().map_err(StepError::from)?;
            let ended = run_with_journal(steps, upgrade, FileJournal::new(work_dir.clone())).await?;
            work_dir.release_reserve();
            Ok(ended)
        }
        (Scope::Upgrade, UpgradeKind::Minor) => {
            let journal = ConfigMapJournal::new(upgrade.cluster.clone());
            run_with_journal(steps, upgrade, journal).await
        }
    }
}

async fn run_with_journal(
    steps: &[Step],
    upgrade: &mut UpgradeContext,
    mut journal: impl Journal,
) -> Result<(Outcome, Vec<Record>), RunError> {
    let outcome = saga::run(steps, upgrade, &mut journal).await?;
    Ok((outcome, journal.load().await?))
}

/// What is kept of the old data, for the summary of an upgrade that succeeded.
fn kept_old_data(upgrade: &UpgradeContext, outcome: &Outcome) -> Option<String> {
    match outcome {
        // The upgrade has succeeded even if this cannot be read.
        Outcome::Upgraded => upgrade.kept_old_data().unwrap_or_else(|error| {
            tracing::warn!("{}", display_chain(&error));
            None
        }),
        Outcome::RolledBack { .. } | Outcome::Stuck { .. } => None,
    }
}

/// Stops servers of `pg_upgrade` cleanly now, rather than by the kill that ends this pod.
async fn stop_servers(plan: &UpgradePlan, programs: &Agent) {
    let volume = Volume::at(layout::VOLUME_ROOT);
    for version in [&plan.from, &plan.to] {
        let Ok(version) = version.pg_version() else { continue };
        if let Err(error) = programs.stop_server(volume.data_dir(version.major)).await {
            tracing::warn!("{}", display_chain(&error));
        }
    }
}

/// The longest termination message, in bytes. Of a longer one the kubelet keeps the end, and the beginning says what
/// has happened.
const MAX_TERMINATION_MESSAGE: usize = 4096;

/// The message that `kubectl describe pod` shows for this container's end.
fn write_termination_message(text: &str) {
    // Outside a pod the file does not exist, and nothing would read it.
    if let Err(error) = fs::write("/dev/termination-log", termination_message(text)) {
        tracing::debug!("failed to write the termination message: {error}");
    }
}

fn termination_message(text: &str) -> String {
    bounded(text, MAX_TERMINATION_MESSAGE, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn termination_message_begins_with_what_has_happened() {
        let text = format!("demo/orders was not touched and serves 13.16. {}", "ä finding\n".repeat(3000));
        let message = termination_message(&text);
        assert!(
            message.len() <= MAX_TERMINATION_MESSAGE && message.starts_with("demo/orders was not touched")
        );
        assert_eq!(termination_message("short"), "short");
    }
}
