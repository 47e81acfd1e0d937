//! Pods that outlive their runner. Another admission controller may have added a container that never ends; the pod then
//! holds the volume, and its Job, the claim and the next request wait for it.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::SignedDuration;
use pgops_api::Owner;

use super::lost;
use crate::launcher::action::Action;
use crate::launcher::pods::{self, RunnerEnd};
use crate::launcher::state::State;

/// How long a pod may outlive its runner: the kubelet ends the sidecars in this time.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);
/// Seconds that the containers get to end after that.
const GRACE: i64 = 30;

/// How the runner of a live pod of this Job has ended, if it has.
pub fn runner_end(state: &State, job: &Job) -> Option<RunnerEnd> {
    let owner = Owner::of(job);
    live(state).filter(|pod| owner.owns(&pod.metadata)).find_map(pods::runner_end)
}

/// How long the pod may still outlive its runner; nothing is left if another container holds it.
pub fn time_left(state: &State, end: RunnerEnd) -> SignedDuration {
    PATIENCE - state.now.duration_since(end.at)
}

/// Ends the live pods whose runner has ended, and which another container holds; none if there are no such pods.
pub fn end_held_pods(state: &State) -> Option<Action> {
    let is_held = |pod: &&Pod| {
        pods::runner_end(pod).is_some_and(|end| !time_left(state, end).is_positive())
            && pod.metadata.deletion_grace_period_seconds.is_none_or(|grace| grace > GRACE)
    };
    live(state).any(|pod| is_held(&pod)).then_some(Action::EndPods { grace: Some(GRACE) })
}

/// Stops the live pods as their Job's end would, and waits for that; none if there are no live pods.
pub fn stop_pods(state: &State) -> Option<Action> {
    let mut live = live(state).peekable();
    live.peek()?;
    let is_running = live.any(|pod| pod.metadata.deletion_timestamp.is_none());
    Some(if is_running { Action::EndPods { grace: None } } else { lost::wait_for_pods(state) })
}

fn live(state: &State) -> impl Iterator<Item = &Pod> {
    state.pods.iter().filter(|pod| pods::is_alive(pod))
}
