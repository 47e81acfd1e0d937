//! Pods of the worker whose node no longer reports. They may still run, so no other takes their place.

use pgops_kube::lost_pod;

use crate::launcher::action::{Action, RECHECK_INTERVAL};
use crate::launcher::pods;
use crate::launcher::state::State;
use crate::launcher::waiting::WORKER_LOST;

/// Tells that a live pod of the worker is lost; none if none is.
pub fn tell(state: &State) -> Option<Action> {
    let mut live = state.pods.iter().filter(|pod| pods::is_alive(pod));
    let lost = live.find_map(|pod| lost_pod(pod, state.now))?;
    Some(Action::Warn { reason: WORKER_LOST, message: lost.to_string() })
}

/// Waits until the live pods have ended.
pub fn wait_for_pods(state: &State) -> Action {
    tell(state).unwrap_or(Action::Recheck(RECHECK_INTERVAL))
}
