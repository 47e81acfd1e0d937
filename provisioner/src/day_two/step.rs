//! What can be done for a request.

use super::change::Replaced;
use super::plan::Stage;

/// Reason of a stage that a user has cancelled.
pub const CANCELLED: &str = "Cancelled";
/// Reason of a stage whose change of the Postgres was refused: nothing was changed. And of a wait, if the API server refuses a write
/// that is tried again.
pub const CHANGE_REFUSED: &str = "ChangeRefused";
/// Reason of a stage whose change of the Postgres another client has undone.
pub const SPEC_REVERTED: &str = "SpecReverted";
/// Reason of a wait for the instance, which is not to see the next password any more.
pub const WITHDRAWN: &str = "PasswordWithdrawn";
/// Reason if the Secret does not have the password of the server where it should be.
pub const NOT_CONFIRMED: &str = "PasswordNotConfirmed";
/// Reason of a condition of a stage that is running.
pub const IN_PROGRESS: &str = "InProgress";

/// What is done for a request: one step, after which everything is decided from scratch.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Wait, perhaps for something that must be told.
    Wait(Option<Obstacle>),
    /// Record that the stage begins.
    Begin { stage: Stage, message: String },
    /// Record that the stage is done.
    Complete { stage: Stage, reason: &'static str, message: String },
    /// Record that the stage has failed: what was changed is put back.
    Fail { stage: Stage, reason: String, message: String },
    /// Have the server check these settings.
    Propose(String),
    /// Change the spec of the Postgres.
    Change(Stage),
    /// Put back what was replaced in the spec of the Postgres.
    Revert(Replaced),
    /// Remove what is recorded for the request on the Postgres.
    Forget,
    /// Delete the pod that was observed, which its StatefulSet then creates again.
    DeletePod,
    /// Delete the pod of one of several servers, by its name and uid.
    DeleteMember { name: String, uid: String },
    /// Have Patroni make another one of several servers the primary, by the names of their pods.
    SwitchOver { from: String, to: String },
    /// Generate a password, which the server gets from the Secret.
    ProposePassword,
    /// Make the password with this identification that of the Secret: the server has it.
    PromotePassword(String),
    /// Hide the password with this identification from the instance.
    WithdrawPassword(String),
    /// Remove the password with this identification, which the server does not have, and end the request.
    DiscardPassword { id: String, reason: String, message: String },
    /// End the request: it succeeded.
    Succeed { message: String },
    /// End the request: it failed.
    End { reason: String, message: String },
}

/// What a step waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Obstacle {
    pub reason: &'static str,
    pub message: String,
}

impl Step {
    /// The stage is done.
    pub fn completed(stage: Stage, message: impl Into<String>) -> Self {
        Self::Complete { stage, reason: "Succeeded", message: message.into() }
    }

    /// The stage has failed.
    pub fn failed(stage: Stage, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Fail { stage, reason: reason.into(), message: message.into() }
    }

    /// Something must be told that is waited for.
    pub fn waiting(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Wait(Some(Obstacle { reason, message: message.into() }))
    }
}
