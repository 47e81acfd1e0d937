//! A Job that is active and whose worker has not started.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::SignedDuration;
use pgops_api::Owner;

use crate::launcher::action::{Action, RECHECK_INTERVAL};
use crate::launcher::job_state::Withdrawal;
use crate::launcher::pods;
use crate::launcher::start_problem::{StartProblem, StartReason, start_problem};
use crate::launcher::state::State;
use crate::launcher::waiting;

/// How long a worker may fail to start for a reason that does not pass by itself, unless the request has a time limit.
const TIMEOUT: SignedDuration = SignedDuration::from_mins(2);

/// What to do about the start of the Job's worker; none if there is nothing to do.
pub fn watch_start(state: &State, job: &Job) -> Option<Action> {
    let Some(problem) = start_problem(job, &state.pods, &state.events, state.now) else {
        return watch_quiet_start(state);
    };
    if let Some(server) = server_that_holds_the_volume(state, &problem) {
        return Some(server);
    }
    let StartProblem { reason, message, since } = problem;
    let has_acted = state.may_have_acted(job);
    let waited = state.now.duration_since(since);
    let is_over = time_limit(state, reason).is_some_and(|limit| waited >= limit);
    let reason = reason.as_str();
    Some(match (has_acted, is_over) {
        (false, true) => Action::Withdraw(Withdrawal { reason: reason.to_owned(), message }),
        (false, false) => Action::Warn { reason, message },
        (true, _) => {
            let message = format!("the upgrade has started and resumes as soon as its pod starts: {message}");
            Action::Warn { reason, message }
        }
    })
}

/// Nothing is wrong, or nothing was reported yet.
fn watch_quiet_start(state: &State) -> Option<Action> {
    if waiting::is_of_launcher(&state.request) {
        return Some(Action::StopWaiting);
    }
    let runs = state.pods.iter().any(|pod| pods::is_alive(pod) && pods::runner_started(pod));
    (!runs).then_some(Action::Recheck(RECHECK_INTERVAL))
}

/// How long the request waits for what is wrong.
fn time_limit(state: &State, reason: StartReason) -> Option<SignedDuration> {
    waiting::time_limit(&state.request).or_else(|| reason.is_permanent().then_some(TIMEOUT))
}

/// The worker waits for a volume that the database's pod keeps on another node, where it does not serve: in the outage,
/// both wait for each other.
fn server_that_holds_the_volume(state: &State, problem: &StartProblem) -> Option<Action> {
    if problem.reason != StartReason::VolumeNotMounted || !state.needs_rescue() {
        return None;
    }
    let workload = state.workload.as_ref()?;
    let is_own = Owner::of(state.database.as_ref()?).owns(&workload.metadata);
    let server =
        state.server.as_ref().filter(|server| is_own && Owner::of(workload).owns(&server.metadata))?;
    let node = server.spec.as_ref()?.node_name.as_ref()?;
    let is_elsewhere = state.pods.iter().filter(|pod| pods::is_alive(pod)).any(|pod| {
        let own = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
        own.is_some_and(|own| own != node)
    });
    let frees = is_elsewhere && !pods::is_ready(server) && server.metadata.deletion_timestamp.is_none();
    frees.then_some(Action::FreeVolume)
}
