//! The stage of the instance: the response to a readiness probe, and a log line for each change.

use std::fmt;

use pgops_api::layout::{INTERLOCK_FILE, TLS_DIR};
use tokio::sync::watch;

use crate::boot::BootRefusal;

/// The stage of the instance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    Starting,
    /// Another process holds the interlock.
    WaitingForInterlock,
    /// Another major version is active.
    WaitingForVersion {
        /// Major version of this pod.
        own: u32,
        active: u32,
    },
    /// An operator has to fix something.
    Refused(BootRefusal),
    /// The API server does not answer whether the database is new.
    Unanswered(String),
    /// The server must speak TLS, and the mounted certificate cannot be used.
    WaitingForCertificate(String),
    /// initdb runs.
    Initialising,
    /// The server was started.
    Running,
    /// The server was asked to stop.
    Stopping,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::WaitingForInterlock => {
                write!(f, "waiting: another server, or the worker of an upgrade, holds {INTERLOCK_FILE}")
            }
            Self::WaitingForVersion { own, active } => {
                write!(f, "waiting: major version {active} is active on the volume, and this pod has {own}")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unanswered(reason) => {
                write!(f, "waiting: the API server has not answered whether the database is new: {reason}")
            }
            Self::WaitingForCertificate(problem) => {
                write!(
                    f,
                    "waiting: the server must speak TLS, and its certificate in {TLS_DIR} cannot be used: {problem}; correct \
                     the Secret that spec.tls names"
                )
            }
            Self::Initialising => f.write_str("initialising the database"),
            Self::Running => f.write_str("the server was started"),
            Self::Stopping => f.write_str("the server is stopping"),
        }
    }
}

/// Reports the stage to the readiness probe and to the log.
pub struct StageReporter(watch::Sender<Stage>);

impl StageReporter {
    /// A reporter at [`Stage::Starting`], and its reader.
    pub fn new() -> (Self, watch::Receiver<Stage>) {
        let (sender, receiver) = watch::channel(Stage::Starting);
        (Self(sender), receiver)
    }

    /// Reports a stage; it is logged if it is new.
    pub fn report(&self, stage: Stage) {
        self.0.send_if_modified(|current| {
            let is_new = *current != stage;
            if is_new {
                match stage {
                    Stage::Refused(_) | Stage::Unanswered(_) | Stage::WaitingForCertificate(_) => {
                        tracing::warn!("{stage}");
                    }
                    _ => tracing::info!("{stage}"),
                }
                *current = stage;
            }
            is_new
        });
    }
}
