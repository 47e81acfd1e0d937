//! A request that has a Job.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use pgops_api::Owner;
use pgops_api::opsrequest::resume_command;

use super::admit::{self, start};
use crate::launcher::action::{Action, RECHECK_INTERVAL};
use crate::launcher::job_state::{self, JobState, Withdrawal};
use crate::launcher::pods::{self, StartProblem};
use crate::launcher::state::State;
use crate::launcher::worker::rbac::with_pods;

/// How long a worker may fail to start before its request ends.
const START_TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// The next action for a request that has this Job.
pub fn supervise(state: &State, job: &Job) -> Action {
    match job_state::of(job) {
        JobState::Held => start(state, job),
        JobState::Complete => completed(state),
        JobState::Failed(why) => failed(state, &why),
        JobState::Withdrawn(_) if state.has_live_pods() => Action::Recheck(RECHECK_INTERVAL),
        JobState::Withdrawn(_) if state.may_have_acted(job) => Action::UnsuspendJob,
        JobState::Withdrawn(Withdrawal { reason, message }) => {
            let message = format!("{} was not touched: {message}", state.database_key());
            Action::Fail { reason, message }
        }
        JobState::Active if state.request.is_cancelled() && !state.may_have_acted(job) => {
            Action::Withdraw(admit::cancelled(admit::BY_ANNOTATION))
        }
        JobState::Active if !state.is_progressing() => Action::MarkProgressing,
        JobState::Active => match watch_start(state, job) {
            Action::Nothing => grant_own_pods(state, job).unwrap_or(Action::Nothing),
            hindered => hindered,
        },
    }
}

/// The runner reads from its pod why another container of it has ended.
fn grant_own_pods(state: &State, job: &Job) -> Option<Action> {
    let owner = Owner::of(job);
    let own = state.pods.iter().filter(|pod| pods::is_alive(pod) && owner.owns(&pod.metadata));
    let rules = state.rights.role.as_ref()?.rules.as_deref()?;
    with_pods(rules, own.map(ResourceExt::name_any).collect()).map(Action::GrantOwnPods)
}

/// The Job is active: does its pod start?
fn watch_start(state: &State, job: &Job) -> Action {
    let Some(StartProblem { reason, message, since }) = start_problem(state, job) else {
        return Action::Nothing;
    };
    let left = START_TIMEOUT - state.now.duration_since(since);
    if left.is_positive() {
        return Action::Recheck(left);
    }
    if state.may_have_acted(job) {
        let message = format!("the upgrade has started and resumes as soon as its pod starts: {message}");
        return Action::Warn { reason, message };
    }
    Action::Withdraw(Withdrawal { reason: reason.to_owned(), message })
}

/// A pod that cannot start, or none at all: a quota or a policy may forbid it.
fn start_problem(state: &State, job: &Job) -> Option<StartProblem> {
    // Pods that have ended stay: their Job is about to end, or to create another.
    if !state.pods.is_empty() {
        return pods::start_problem(&state.pods);
    }
    let name = state.job_name();
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    let since = started.or(job.metadata.creation_timestamp.as_ref())?.0;
    let message = format!("job {name} has no pod; for the reason run kubectl describe job {name}");
    Some(StartProblem { reason: "WorkerPod", message, since })
}

/// The Job succeeded, but the request does not say how it ended: the runner's last status write was lost.
fn completed(state: &State) -> Action {
    let version = state.database.as_ref().map(|database| database.spec.version.as_str());
    if version.is_some() && version == state.request.target() && !state.is_paused_by_request() {
        let message = format!("{} has version {}", state.database_key(), version.unwrap_or_default());
        return Action::Succeed { message };
    }
    failed(state, &format!("it completed, but the database has version {}", version.unwrap_or("unknown")))
}

fn failed(state: &State, why: &str) -> Action {
    let cause = pods::failure_message(&state.pods);
    if let Some(cause) = cause.as_ref().filter(|_| !state.runner_has_run()) {
        let message = format!("{} was not touched: {cause}", state.database_key());
        return Action::Fail { reason: "WorkerFailed".to_owned(), message };
    }
    let cause = cause.map(|cause| format!("; {cause}")).unwrap_or_default();
    let message = format!("job {} failed ({why}){cause}. {}", state.job_name(), left_behind(state));
    Action::Fail { reason: "JobFailed".to_owned(), message }
}

/// In which state a failed Job leaves the database, and how to resume.
fn left_behind(state: &State) -> String {
    let database = state.database_key();
    if !state.is_paused_by_request() {
        return format!("{database} is not paused by this request");
    }
    let replicas = state.workload.as_ref().and_then(|workload| workload.spec.as_ref()?.replicas);
    let down = if replicas == Some(0) { " and does not serve: its StatefulSet has no pods" } else { "" };
    let namespace = state.request.metadata.namespace.as_deref().unwrap_or_default();
    let request = state.request.metadata.name.as_deref().unwrap_or_default();
    let command = resume_command(namespace, request);
    format!(
        "{database} is still paused by this request{down}. After fixing the cause, resume with: {command} \
         (docs/runbook.md)"
    )
}
