//! A Job that is active and whose worker has not started.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use pgops_api::Owner;
use pgops_kube::lost_pod;

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
    let holder = server_that_holds_the_volume(state, &problem);
    if holder.is_some_and(|server| gives_volume_up(state, server)) {
        return Some(Action::FreeVolume);
    }
    let StartProblem { reason, mut message, since } = problem;
    if let Some(server) = holder {
        message = format!("{message}. {}", holder_message(state, server));
    }
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
    // One that is being deleted is checked again: it may not end.
    let runs = state.pods.iter().any(|pod| {
        pods::is_alive(pod) && pods::runner_started(pod) && pod.metadata.deletion_timestamp.is_none()
    });
    (!runs).then_some(Action::Recheck(RECHECK_INTERVAL))
}

/// How long the request waits for what is wrong.
fn time_limit(state: &State, reason: StartReason) -> Option<SignedDuration> {
    waiting::time_limit(&state.request).or_else(|| reason.is_permanent().then_some(TIMEOUT))
}

/// The database's pod, if the worker waits for a volume that it has on another node.
fn server_that_holds_the_volume<'a>(state: &'a State, problem: &StartProblem) -> Option<&'a Pod> {
    if problem.reason != StartReason::VolumeNotMounted {
        return None;
    }
    let workload = state.workload.as_ref()?;
    let is_own = Owner::of(state.database.as_ref()?).owns(&workload.metadata);
    let server =
        state.server.as_ref().filter(|server| is_own && Owner::of(workload).owns(&server.metadata))?;
    let node = node_of(server)?;
    let mut workers = state.pods.iter().filter(|pod| pods::is_alive(pod)).filter_map(node_of);
    workers.any(|own| own != node).then_some(server)
}

/// It does not serve: in the outage, it and the worker wait for each other. One that alone keeps the volume is not deleted.
fn gives_volume_up(state: &State, server: &Pod) -> bool {
    let is_volume_kept = state.storage_risk().is_none_or(|risk| risk.is_transient());
    let is_ready = pods::is_ready(server);
    state.needs_rescue() && !is_ready && server.metadata.deletion_timestamp.is_none() && is_volume_kept
}

/// Why the volume is not free, and what to do.
fn holder_message(state: &State, server: &Pod) -> String {
    if let Some(lost) = lost_pod(server, state.now) {
        return lost.to_string();
    }
    let name = server.name_any();
    let node = node_of(server).unwrap_or_default();
    if server.metadata.deletion_timestamp.is_some() {
        return format!("pod {name}, which has the volume on node {node}, is being deleted");
    }
    if let Some(risk) = state.storage_risk().filter(|risk| !risk.is_transient()) {
        return format!("pod {name} has the volume on node {node}, and is not deleted: {risk}");
    }
    format!(
        "pod {name} has the volume on node {node}: if that node takes no pods, uncordon it or drain it; if this lasts, delete \
         the worker's pod, and the next one is placed next to {name}"
    )
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}
