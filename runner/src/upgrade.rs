//! Executes the plan of the Job's environment, and writes down how it ended.

use std::fs;
use std::process::ExitCode;

use jiff::SignedDuration;
use pgops_api::UpgradePlan;
use pgops_api::opsrequest::resume_command;
use pgops_api::plan::{EXIT_ENDED, PLAN_VARIABLE, Scope, Step, UpgradeKind};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::{Cluster, ClusterError};
use crate::narrative;
use crate::postgres::server::leftover;
use crate::postgres::volume::Volume;
use crate::report::seconds;
use crate::saga::{self, FileJournal, Forgetful, Journal, JournalError, Outcome, ReportJournal};
use crate::steps::{StepError, Upgrade, display_chain};

/// The upgrade could neither be brought to its end nor be written down; the Job tries again.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The Job was not made by the launcher.
    #[error("failed to read the plan from {PLAN_VARIABLE}: only the launcher makes this Job")]
    NoPlan(#[source] std::env::VarError),
    /// The plan is of another version of pgops.
    #[error("failed to understand the plan in {PLAN_VARIABLE}: launcher and runner must be of one version")]
    Plan(#[source] serde_json::Error),
    /// The runtime did not start.
    #[error("failed to start the runtime")]
    Runtime(#[source] std::io::Error),
    /// The control plane.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The parts of the upgrade.
    #[error(transparent)]
    Step(#[from] StepError),
}

/// Runs the upgrade to its end. Exit status 42 says that the request has ended without success.
pub fn run() -> Result<ExitCode, UpgradeError> {
    narrative::init();
    // Data directories and everything else that is written belong to the database's user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let json = std::env::var(PLAN_VARIABLE).map_err(UpgradeError::NoPlan)?;
    let plan: UpgradePlan = serde_json::from_str(&json).map_err(UpgradeError::Plan)?;
    let runtime = tokio::runtime::Runtime::new().map_err(UpgradeError::Runtime)?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(UpgradeError::Runtime)?;
        tokio::select! {
            result = execute(&plan) => result,
            _ = terminate.recv() => {
                tracing::warn!("this pod is being stopped; the next one carries on from the journal");
                stop_servers(&plan).await;
                Ok(ExitCode::FAILURE)
            }
        }
    });
    if let Err(error) = &result {
        tracing::error!("{}", display_chain(error));
        leave_message(&display_chain(error));
    }
    // The status writer may hang on an API server that is away: the journal has everything.
    runtime.shutdown_background();
    result
}

/// Runs the saga to its end; gives that, and all that was written down.
async fn carry_out(
    steps: &[Step],
    upgrade: &mut Upgrade,
    mut journal: impl Journal,
) -> Result<(Outcome, Vec<saga::Record>), UpgradeError> {
    let outcome = saga::run(steps, upgrade, &mut journal).await?;
    Ok((outcome, journal.load().await?))
}

async fn execute(plan: &UpgradePlan) -> Result<ExitCode, UpgradeError> {
    let cluster = Cluster::connect(plan).await?;
    let request = cluster.request().await?;
    if request.phase().is_terminal() {
        tracing::info!("request {} has ended already", plan.request);
        return Ok(ExitCode::from(EXIT_ENDED));
    }
    let mut upgrade = Upgrade::new(plan.clone(), cluster.clone())?;
    let kind = plan.kind().map_err(StepError::from)?;
    let steps = plan.scope.steps(kind);
    tracing::info!("{}/{}: {} to {}", plan.namespace, plan.database, plan.from.name, plan.to.name);
    let volume = Volume::new(std::path::Path::new(pgops_api::layout::VOLUME_ROOT), &plan.request_uid);
    let (outcome, records) = match (plan.scope, kind) {
        (Scope::DryRun, _) => {
            let ended = carry_out(steps, &mut upgrade, Forgetful::default()).await?;
            volume.remove_empty_work();
            ended
        }
        (Scope::Upgrade, UpgradeKind::Major) => {
            volume.make_work().map_err(StepError::volume("make the work directory"))?;
            volume.make_reserve().map_err(StepError::volume("keep room for the journal"))?;
            let ended = carry_out(steps, &mut upgrade, FileJournal::new(volume.clone())).await?;
            volume.release_reserve();
            ended
        }
        (Scope::Upgrade, UpgradeKind::Minor) => {
            carry_out(steps, &mut upgrade, ReportJournal::new(cluster.clone())).await?
        }
    };
    let said = upgrade.said().join("\n");
    let kept = match &outcome {
        // The upgrade is good whatever cannot be read now.
        Outcome::Upgraded => upgrade.kept().unwrap_or_else(|error| {
            tracing::warn!("{}", display_chain(&error));
            None
        }),
        Outcome::RolledBack { .. } | Outcome::Stuck { .. } => None,
    };
    let reporter = upgrade.into_reporter();
    let (message, said) = match plan.scope {
        Scope::Upgrade => (message(plan, &outcome, reporter.outage().duration(), &records, kept), said),
        Scope::DryRun => (dry_run_message(plan, &outcome, &said), String::new()),
    };
    leave_message(&message);
    let mut report = vec![message.clone(), said, timings(&records)];
    report.retain(|part| !part.is_empty());
    let report = report.join("\n\n");
    if let Err(error) = cluster.write_report("report", &report).await {
        tracing::warn!("{}", display_chain(&error));
    }
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

/// Servers of `pg_upgrade` stop cleanly now rather than by the kill that ends this pod.
async fn stop_servers(plan: &UpgradePlan) {
    let volume = Volume::new(std::path::Path::new(pgops_api::layout::VOLUME_ROOT), &plan.request_uid);
    for side in [&plan.from, &plan.to] {
        let Ok(version) = side.pg_version() else { continue };
        if let Err(error) = leftover::stop_server(&volume.pgdata(version.major)).await {
            tracing::warn!("{}", display_chain(&error));
        }
    }
}

/// The end in words: first what it means for the database, then why, then what to do.
fn message(
    plan: &UpgradePlan,
    outcome: &Outcome,
    outage: Option<SignedDuration>,
    records: &[saga::Record],
    kept: Option<String>,
) -> String {
    let UpgradePlan { namespace, database, request, from, to, .. } = plan;
    let after = outage.map(|outage| format!(" after {} of outage", seconds(outage))).unwrap_or_default();
    match outcome {
        Outcome::Upgraded => {
            let kept = kept.map(|kept| format!("; {kept}")).unwrap_or_default();
            format!(
                "{namespace}/{database} is on {}{after}{kept}{}{}",
                to.name,
                turned(records),
                left_undone(records)
            )
        }
        Outcome::RolledBack { failure, .. } if outage.is_none() => {
            format!("{namespace}/{database} was not touched and serves {}. {}", from.name, failure.message)
        }
        Outcome::RolledBack { step, failure } => format!(
            "{namespace}/{database} serves {} again{after}, no data changed. {step}: {}",
            from.name, failure.message
        ),
        Outcome::Stuck { step, failure } if saga::is_paused(records) => format!(
            "{namespace}/{database} needs help: {step} cannot be brought to its end; it stays paused by request \
             {request}{}. {}. Nothing more is removed. Once the cause is gone, it goes on by: {} (docs/runbook.md)",
            turned(records),
            failure.message,
            resume_command(namespace, request)
        ),
        // Before the pause, or once it is lifted, nothing but what the upgrade made beside the data is left.
        Outcome::Stuck { step, failure } => format!(
            "{namespace}/{database} serves {}, no data changed, but {step} cannot be taken back: {}. docs/runbook.md \
             says what to remove before a new request",
            from.name, failure.message
        ),
    }
}

/// Why the upgrade went forward again although a step had failed.
fn turned(records: &[saga::Record]) -> String {
    saga::turned(records)
        .map(|why| format!("; it went forward again after a failure, since {}", why.message))
        .unwrap_or_default()
}

/// The end of a dry run in words: nothing was changed, and what the preflight says.
fn dry_run_message(plan: &UpgradePlan, outcome: &Outcome, said: &str) -> String {
    let UpgradePlan { namespace, database, from, to, .. } = plan;
    let untouched = format!("dry run: {namespace}/{database} was not touched and serves {}", from.name);
    match outcome {
        Outcome::Upgraded => {
            format!("{untouched}. Nothing found is in the way of the upgrade to {}\n{said}", to.name)
                .trim_end()
                .to_owned()
        }
        Outcome::RolledBack { failure, .. } | Outcome::Stuck { failure, .. } => {
            format!("{untouched}. {}", failure.message)
        }
    }
}

/// The steps that the upgrade went on without.
fn left_undone(records: &[saga::Record]) -> String {
    saga::given_up(records).fold(String::new(), |text, (step, failure)| {
        format!("{text}. {step} was not done: {}", failure.message)
    })
}

/// How long each step took.
fn timings(records: &[saga::Record]) -> String {
    let mut lines = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if record.event == saga::Event::Succeeded
            && let Some(began) = records[..index].iter().rev().find(|other| other.step == record.step)
        {
            lines.push(format!("{:<26}{:>8}", record.step, seconds(record.at.duration_since(began.at))));
        }
    }
    lines.join("\n")
}

/// What `kubectl describe pod` shows of this container's end.
fn leave_message(text: &str) {
    // Outside a pod there is no such file, and nobody to read it.
    if let Err(error) = fs::write("/dev/termination-log", text) {
        tracing::debug!("failed to write the termination message: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use pgops_api::plan::VersionRef;
    use saga::{Event, Failure, Record};

    fn plan() -> UpgradePlan {
        let side =
            |version: &str| VersionRef { name: version.into(), version: version.into(), image: "pg".into() };
        UpgradePlan {
            namespace: "demo".into(),
            request: "orders-17".into(),
            request_uid: "3f9c21aa".into(),
            database: "orders".into(),
            from: side("13.16"),
            to: side("17.11"),
            scope: Scope::Upgrade,
            transfer_mode: None,
            keep_old_data_seconds: None,
            reindex: pgops_api::plan::Reindex::default(),
            timeout_seconds: None,
            max_retries: 1,
        }
    }

    fn failure() -> Failure {
        Failure {
            reason: "PgUpgradedFailed".into(),
            message: "no space left on device".into(),
            may_pass: false,
        }
    }

    #[test]
    fn a_failure_before_the_outage_says_first_that_nothing_was_touched() {
        let outcome = Outcome::RolledBack { step: Step::Preflight, failure: failure() };
        let text = message(&plan(), &outcome, None, &[], None);
        assert!(text.starts_with("demo/orders was not touched and serves 13.16. no space left"), "{text}");
    }

    #[test]
    fn a_dry_run_says_first_that_it_was_one_and_then_what_was_found() {
        let text = dry_run_message(&plan(), &Outcome::Upgraded, "mode copy\n[physical-slot] note: a");
        assert_eq!(
            text,
            "dry run: demo/orders was not touched and serves 13.16. Nothing found is in the way of the upgrade to 17.11\n\
             mode copy\n[physical-slot] note: a"
        );
        let outcome = Outcome::RolledBack { step: Step::Preflight, failure: failure() };
        let text = dry_run_message(&plan(), &outcome, "");
        assert_eq!(text, "dry run: demo/orders was not touched and serves 13.16. no space left on device");
    }

    #[test]
    fn a_rollback_says_first_that_the_old_version_serves() {
        let outcome = Outcome::RolledBack { step: Step::PgUpgraded, failure: failure() };
        let text = message(&plan(), &outcome, Some(SignedDuration::from_millis(9200)), &[], None);
        assert!(
            text.starts_with("demo/orders serves 13.16 again after 9.2s of outage, no data changed"),
            "{text}"
        );
        assert!(text.contains("PgUpgraded: no space left on device"), "{text}");
    }

    #[test]
    fn an_upgrade_names_the_steps_that_it_went_on_without() {
        let record = |event| Record { at: Timestamp::UNIX_EPOCH, step: Step::Analyze, event };
        let text = message(&plan(), &Outcome::Upgraded, None, &[record(Event::Succeeded)], None);
        assert_eq!(text, "demo/orders is on 17.11");
        let kept = Some("the data of 13.16 (58 MiB) is kept".to_owned());
        let text = message(&plan(), &Outcome::Upgraded, None, &[record(Event::Succeeded)], kept);
        assert_eq!(text, "demo/orders is on 17.11; the data of 13.16 (58 MiB) is kept");
        let text = message(&plan(), &Outcome::Upgraded, None, &[record(Event::GivenUp(failure()))], None);
        assert_eq!(text, "demo/orders is on 17.11. Analyze was not done: no space left on device");
    }

    #[test]
    fn a_stuck_upgrade_says_who_holds_the_database_and_how_to_go_on() {
        let paused = Record { at: Timestamp::UNIX_EPOCH, step: Step::PauseDatabase, event: Event::Succeeded };
        let outcome = Outcome::Stuck { step: Step::UpdateDatabase, failure: failure() };
        let text = message(&plan(), &outcome, None, &[paused], None);
        assert!(text.contains("stays paused by request orders-17") && text.contains("runbook"), "{text}");
        assert!(text.contains("kubectl annotate pgops orders-17 -n demo pgops.dev/carry-on=true"), "{text}");
    }

    #[test]
    fn what_cannot_be_taken_back_beside_the_data_is_not_told_as_a_pause() {
        let outcome = Outcome::Stuck { step: Step::DataDirectoryInitialized, failure: failure() };
        let text = message(&plan(), &outcome, None, &[], None);
        assert!(
            text.starts_with("demo/orders serves 13.16, no data changed, but DataDirectoryInitialized"),
            "{text}"
        );
        assert!(!text.contains("carry-on"), "{text}");
    }

    #[test]
    fn an_upgrade_that_turned_forward_again_says_why() {
        let why = Event::Committed(Failure { message: "the new server has run".into(), ..failure() });
        let turned = Record { at: Timestamp::UNIX_EPOCH, step: Step::ReplacedDataDirectory, event: why };
        let text = message(&plan(), &Outcome::Upgraded, None, &[turned], None);
        assert_eq!(
            text,
            "demo/orders is on 17.11; it went forward again after a failure, since the new server has run"
        );
    }

    #[test]
    fn the_report_has_the_duration_of_each_step() {
        let record = |ms, event| Record {
            at: Timestamp::from_millisecond(ms).unwrap(),
            step: Step::PgUpgraded,
            event,
        };
        let text = timings(&[record(0, Event::Started), record(3300, Event::Succeeded)]);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["PgUpgraded", "3.3s"]);
    }
}
