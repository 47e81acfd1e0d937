//! A request that has a Job.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use pgops_api::Owner;
use pgops_api::opsrequest::resume_command;

use super::admit::{self, start};
use super::held;
use super::lost;
use super::start::watch_start;
use crate::launcher::action::{Action, RECHECK_INTERVAL};
use crate::launcher::job_state::{self, JobState, Withdrawal};
use crate::launcher::pods::{self, RunnerEnd, RunnerResult};
use crate::launcher::state::State;
use crate::launcher::worker::rbac::with_pods;

/// The next action for a request that has this Job.
pub fn supervise(state: &State, job: &Job) -> Action {
    match job_state::of(job) {
        JobState::Held => start(state, job),
        JobState::Complete => completed(state),
        JobState::Failed(why) => failed(state, &why),
        JobState::Withdrawn(_) if state.has_live_pods() => {
            held::end_held_pods(state).unwrap_or_else(|| lost::wait_for_pods(state))
        }
        JobState::Withdrawn(_) if state.may_have_acted(job) => Action::UnsuspendJob,
        JobState::Withdrawn(Withdrawal { reason, message }) => {
            let message = format!("{} was not touched: {message}", state.database_key());
            Action::Fail { reason, message }
        }
        JobState::Active if state.request.is_cancelled() && !state.may_have_acted(job) => {
            Action::Withdraw(admit::cancelled(admit::BY_ANNOTATION))
        }
        JobState::Active if !state.is_progressing() => Action::MarkProgressing,
        JobState::Active => active(state, job),
    }
}

fn active(state: &State, job: &Job) -> Action {
    if let Some(end) = held::runner_end(state, job) {
        return follow_runner(state, end);
    }
    let next = grant_own_pods(state, job).or_else(|| lost::tell(state)).or_else(|| watch_start(state, job));
    next.unwrap_or(Action::Nothing)
}

/// The runner has ended: its Job follows, unless another container keeps its pod alive.
fn follow_runner(state: &State, end: RunnerEnd) -> Action {
    let left = held::time_left(state, end);
    if left.is_positive() {
        return Action::Recheck(left);
    }
    match end.result {
        RunnerResult::Completed => completed(state),
        RunnerResult::Ended => failed(state, "its runner has ended; another container keeps its pod alive"),
        // Its Job creates the next pod when this one has ended.
        RunnerResult::Interrupted => held::end_held_pods(state).unwrap_or(Action::Recheck(RECHECK_INTERVAL)),
    }
}

/// The runner reads from its pod why another container of it has ended.
fn grant_own_pods(state: &State, job: &Job) -> Option<Action> {
    let owner = Owner::of(job);
    let own = state.pods.iter().filter(|pod| pods::is_alive(pod) && owner.owns(&pod.metadata));
    let rules = state.rights.role.as_ref()?.rules.as_deref()?;
    with_pods(rules, own.map(ResourceExt::name_any).collect()).map(Action::GrantOwnPods)
}

/// The Job succeeded, but the request does not say how it ended: the runner's last status write was lost.
pub fn completed(state: &State) -> Action {
    let version = state.database.as_ref().map(|database| database.spec.version.as_str());
    if version.is_some() && version == state.request.target() && !state.is_paused_by_request() {
        let message = format!("{} has version {}", state.database_key(), version.unwrap_or_default());
        return Action::Succeed { message };
    }
    failed(state, &format!("it completed, but the database has version {}", version.unwrap_or("unknown")))
}

/// The Job ended without a result in the request's status.
pub fn failed(state: &State, why: &str) -> Action {
    let cause = pods::failure_message(&state.pods);
    let job = format!("job {} failed ({why})", state.job_name());
    if !state.runner_has_run() {
        let message = format!("{} was not touched: {}", state.database_key(), cause.unwrap_or(job));
        return Action::Fail { reason: "WorkerFailed".to_owned(), message };
    }
    let cause = cause.map(|cause| format!("; {cause}")).unwrap_or_default();
    let message = format!("{job}{cause}. {}", left_behind(state));
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
