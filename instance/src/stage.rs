//! How far the instance is: the answer to a readiness probe, and the log line of each change.

use std::fmt;

use pgops_api::layout;
use tokio::sync::watch;

use crate::boot::Refusal;

/// How far the instance is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Looks around.
    Starting,
    /// Someone else holds the interlock.
    WaitingForInterlock,
    /// The volume says that another major version serves.
    WaitingForVersion {
        /// Major version of this pod.
        own: u32,
        /// Major version that serves.
        serving: u32,
    },
    /// A person has to put something right.
    Refused(Refusal),
    /// The volume is empty and the API server does not say whether it may be initialised.
    Unanswered(String),
    /// initdb is at work.
    Initialising,
    /// The server was started.
    Running,
    /// The server was told to stop.
    Stopping,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::WaitingForInterlock => write!(
                f,
                "waiting: another server, or the worker of an upgrade, holds {}",
                layout::INTERLOCK_FILE
            ),
            Self::WaitingForVersion { own, serving } => write!(
                f,
                "waiting: the volume says that major version {serving} serves, and this pod has {own}"
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unanswered(why) => {
                write!(f, "the volume is empty; waiting for the API server to say whether it is new: {why}")
            }
            Self::Initialising => f.write_str("initialising the database"),
            Self::Running => f.write_str("the server was started"),
            Self::Stopping => f.write_str("the server is stopping"),
        }
    }
}

/// Where the stage is written up.
pub struct Board(watch::Sender<Stage>);

impl Board {
    /// A board that says [`Stage::Starting`], and its reader.
    pub fn new() -> (Self, watch::Receiver<Stage>) {
        let (sender, receiver) = watch::channel(Stage::Starting);
        (Self(sender), receiver)
    }

    /// Writes up a stage; it is logged when it is new.
    pub fn set(&self, stage: Stage) {
        self.0.send_if_modified(|shown| {
            let new = *shown != stage;
            if new {
                match stage {
                    Stage::Refused(_) | Stage::Unanswered(_) => tracing::warn!("{stage}"),
                    _ => tracing::info!("{stage}"),
                }
                *shown = stage;
            }
            new
        });
    }
}
