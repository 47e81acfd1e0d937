//! Why the server of a database is not ready: the reason of conditions, and what others report.

use pgops_api::bounded;
use pgops_kube::pod_problem::{PodProblem, PodProblemCause};
use pgops_kube::{LostPod, PodLoss};

/// Longest text of another component, in bytes.
const MAX_TEXT: usize = 1024;

/// Why there is no server that is ready.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unready {
    /// Reason of a condition.
    pub reason: &'static str,
    pub message: String,
}

/// Reason: the StatefulSet's controller cannot create the pod.
pub const POD_REFUSED: &str = "PodRefused";

/// Reasons: the pod's node no longer reports, or the pod does not end.
const LOST: [&str; 2] = ["NodeNotReady", "PodNotEnding"];

impl Unready {
    /// Whether its pod is lost: it may still run, and uses its volume.
    pub fn is_lost(&self) -> bool {
        LOST.contains(&self.reason)
    }

    /// The pod runs, and its instance says why the server does not answer.
    pub fn instance(reason: &str) -> Self {
        Self { reason: "NotReady", message: format!("the server does not answer: {reason}") }
    }
}

impl From<PodProblem> for Unready {
    fn from(problem: PodProblem) -> Self {
        let reason = match problem.cause {
            PodProblemCause::Refused => POD_REFUSED,
            PodProblemCause::Unschedulable => "PodUnschedulable",
            PodProblemCause::VolumeNotMounted => "VolumeNotMounted",
            PodProblemCause::Image => "ImageNotPulled",
            PodProblemCause::Configuration
            | PodProblemCause::Crash
            | PodProblemCause::Ended
            | PodProblemCause::Other => "ContainerNotStarted",
        };
        Self { reason, message: bounded(problem.message, MAX_TEXT, "") }
    }
}

impl From<LostPod> for Unready {
    fn from(lost: LostPod) -> Self {
        let reason = match lost.loss {
            PodLoss::NodeNotReady => LOST[0],
            PodLoss::NotEnding(_) => LOST[1],
        };
        Self { reason, message: lost.to_string() }
    }
}
