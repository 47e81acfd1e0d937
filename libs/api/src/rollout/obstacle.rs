//! What keeps the next pod from being replaced.

use super::switchover::SwitchoverRecord;

/// What keeps the next pod from being replaced, or another member from becoming the primary.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Obstacle {
    /// No member accepts writes.
    #[error(
        "no pod of the database is labelled as the primary: Patroni has to promote a standby, or to start the primary again"
    )]
    NoPrimary,
    /// One may be cut off, and keeps its label.
    #[error("several pods are labelled as the primary ({pods}): one of them must lose the label first")]
    SeveralPrimaries {
        /// Their names.
        pods: String,
    },
    /// The primary does not answer.
    #[error("the primary in pod {pod} is not ready")]
    PrimaryNotReady {
        /// Name of the pod.
        pod: String,
    },
    /// Another member is about to lead.
    #[error("the primary in pod {pod} does not have the lock: another member is about to take over")]
    WithoutLock {
        /// Name of the pod.
        pod: String,
    },
    /// Patroni has not reported yet.
    #[error("Patroni of pod {pod} does not report yet where the WAL of the primary ends")]
    PrimaryUnknown {
        /// Name of the pod.
        pod: String,
    },
    /// It would neither fail over nor start servers.
    #[error("Patroni is paused: it must be resumed by the client that has paused it")]
    Paused,
    /// Patroni has yet to act on a request, and removes it then.
    #[error("{0}, and has not answered yet")]
    SwitchoverPending(SwitchoverRecord),
    /// The StatefulSet has not created it again yet.
    #[error("pod {pod} does not exist")]
    Missing {
        /// Name of the pod.
        pod: String,
    },
    /// It may still run.
    #[error("pod {pod} has not ended yet")]
    Ending {
        /// Name of the pod.
        pod: String,
    },
    /// Nothing compares it with the template yet.
    #[error(
        "whether pod {pod} is of the present template is not known: the controller of StatefulSets has not seen it; does \
         kube-controller-manager run?"
    )]
    TemplateNotSeen {
        /// Name of the pod.
        pod: String,
    },
    /// The server may be starting, or copying the data of another one.
    #[error("pod {pod} is not ready")]
    NotReady {
        /// Name of the pod.
        pod: String,
    },
    /// Waiting does not help.
    #[error("pod {pod} cannot start: {reason}")]
    Broken {
        /// Name of the pod.
        pod: String,
        /// What the kubelet reports.
        reason: String,
    },
    /// It is not connected to the primary.
    #[error("the standby in pod {pod} does not stream from the primary")]
    NotStreaming {
        /// Name of the pod.
        pod: String,
    },
    /// It has not followed the last change of the primary yet.
    #[error("the standby in pod {pod} is not on the timeline of the primary")]
    OtherTimeline {
        /// Name of the pod.
        pod: String,
    },
    /// It has not received enough of the WAL yet.
    #[error("the standby in pod {pod} lacks {bytes} bytes of the primary's WAL")]
    Lagging {
        /// Name of the pod.
        pod: String,
        /// How much.
        bytes: u64,
    },
    /// Another member would lose commits.
    #[error("no standby may become the primary: Patroni's record names none as synchronous")]
    NoCandidate,
}

impl Obstacle {
    /// The pod that is waited for to come up, if that is all.
    #[must_use]
    pub fn awaited_pod(&self) -> Option<&str> {
        match self {
            Self::Missing { pod } | Self::Ending { pod } | Self::NotReady { pod } => Some(pod),
            _ => None,
        }
    }
}
