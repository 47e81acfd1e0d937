//! What the launcher can do about one request.

use k8s_openapi::api::rbac::v1::PolicyRule;
use k8s_openapi::jiff::SignedDuration;

use super::job_state::Withdrawal;
use super::worker::Worker;
use pgops_api::Claim;

/// Pause before something that is waited for is checked again.
pub const RECHECK_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// What the launcher does about one request: one step, after which it decides from scratch.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Nothing until something changes.
    Nothing,
    /// Nothing until something changes, or this much time has passed.
    Recheck(SignedDuration),
    /// Record that the request was seen, and which version the database has.
    Acknowledge {
        /// Name of the database's `PostgresVersion`.
        from: String,
    },
    /// Record what the request waits for.
    Wait { reason: &'static str, message: String },
    /// End the request: it is not admitted any more.
    Deny { reason: &'static str, message: String },
    /// Write this claim on the database, which was found free or held by the request.
    Claim(Claim),
    /// Create the Job and the objects it needs, as far as they do not exist. The Job is suspended.
    Launch(Box<Worker>),
    /// Start the held Job: the claim names it.
    StartJob,
    /// Give the worker these rights, which include that to read its own pods: they did not exist when its Role was made.
    GrantOwnPods(Vec<PolicyRule>),
    /// Record that the request is being executed: its Job is active, or the provisioner may act.
    MarkProgressing,
    /// Suspend the Job, which has done nothing, permanently.
    Withdraw(Withdrawal),
    /// Lift the suspension of a withdrawn Job: it had acted before.
    UnsuspendJob,
    /// Record that what the active Job was waiting for has passed.
    StopWaiting,
    /// Record what hinders the upgrade, which continues as soon as it can.
    Warn { reason: &'static str, message: String },
    /// End the request: it failed.
    Fail {
        reason: String,
        /// Why, and in which state it leaves the database.
        message: String,
    },
    /// End the request: it succeeded, and only its status does not say so.
    Succeed { message: String },
    /// Delete the live pods of the Job. Seconds that their containers get to end; as their spec has it if none.
    EndPods { grace: Option<i64> },
    /// Delete the database's pod, which does not serve: the worker waits for its volume on another node.
    FreeVolume,
    /// Remove the finalizer of the Job, whose result is known or will be another Job's.
    ReleaseJob,
    /// Delete the Job, which has ended: the next one has the same name.
    DeleteJob,
    /// Delete the rights of the request's worker: the request has ended.
    Revoke,
    /// Resume a request that has failed: its Job continues from the journal.
    Resume,
    /// Remove the annotation that requests to resume.
    ClearResume {
        /// Why it has no effect, if its author must know.
        rejected: Option<String>,
    },
    /// Remove the request's claim from the database.
    Release,
    /// Let the request be deleted.
    RemoveFinalizer,
}
