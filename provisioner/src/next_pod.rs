//! What is known of the next pod of a database, which takes the place of the present one. Its volume, or an object that it requires,
//! may have been deleted since the present one was created; a limit range, a quota or a policy may have changed; and a request may
//! have changed the template.

use crate::condition_types::CONDITION_VOLUME_AT_RISK;
use crate::unready::POD_REFUSED;

/// Reason: a Secret, a ConfigMap or a key of one that the next pod requires does not exist.
const REFERENCE_NOT_FOUND: &str = "ReferenceNotFound";

/// What is known of the next pod.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum NextPod {
    /// It was not looked up.
    #[default]
    NotAsked,
    /// The API server would take it; or it cannot tell.
    Accepted,
    /// The API server refuses it, with its message.
    Refused(String),
    /// The API server cannot tell at the moment, with the reason.
    Unavailable(String),
    /// It requires something that does not exist.
    Lacks(String),
    /// It would not have the volume of the present one, and why.
    LosesVolume(String),
}

impl NextPod {
    /// Why the present pod must not be deleted, as reason and message of a condition; none if nothing is known to be wrong.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        match self {
            Self::Refused(words) => Some((
                POD_REFUSED,
                format!("the API server would refuse the next pod, as a dry run says: {words}"),
            )),
            Self::Lacks(words) => Some((
                REFERENCE_NOT_FOUND,
                format!(
                    "{words}, and no other pod could start without it: create it, or change what names it"
                ),
            )),
            Self::LosesVolume(words) => {
                Some((CONDITION_VOLUME_AT_RISK, format!("the volume may be lost with the pod: {words}")))
            }
            Self::NotAsked | Self::Accepted | Self::Unavailable(_) => None,
        }
    }
}
