//! What comes next for one request: a pure function of what was observed.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::SignedDuration;
use pgops_api::admission::{Admitted, Denial, Facts, decide};
use pgops_api::opsrequest::{CONDITION_WAITING, Phase};

use super::job::{self, JobState, Withdrawal};
use super::pods::{self, Stuck};
use super::prepare::{self, Refused};
use super::worker::Worker;
use super::world::{World, has_finalizer};

/// How long a worker may fail to start before its request ends.
const START_GRACE: SignedDuration = SignedDuration::from_mins(2);
/// Pause before what waits is looked at again.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// What the launcher does about one request.
#[derive(Debug, PartialEq)]
pub enum Action {
    /// Nothing until something changes.
    Nothing,
    /// Nothing until something changes, or this much time has passed.
    LookAgain(SignedDuration),
    /// Say that the request was seen, and which version the database has.
    Acknowledge {
        /// Name of the database's `PostgresVersion`.
        from: String,
    },
    /// Say what the request waits for.
    Wait {
        /// One `CamelCase` word.
        reason: &'static str,
        /// What it waits for.
        message: String,
    },
    /// End the request: what it asks for cannot be.
    Deny {
        /// One `CamelCase` word.
        reason: &'static str,
        /// Why.
        message: String,
    },
    /// Make the Job and what it needs, as far as it is not there.
    Launch(Box<Worker>),
    /// Say that the Job is at work.
    Progress,
    /// Suspend the Job, whose pod cannot start.
    Withdraw(Withdrawal),
    /// Let the Job go on: it had begun before it was suspended.
    Resume,
    /// Tell people that something hinders the upgrade, which goes on as soon as it can.
    Warn {
        /// One `CamelCase` word.
        reason: &'static str,
        /// What hinders it.
        message: String,
    },
    /// End the request: it failed.
    Fail {
        /// One `CamelCase` word.
        reason: String,
        /// Why, and how the database is.
        message: String,
    },
    /// End the request: it succeeded, and only its status does not say so.
    Succeed,
    /// Let the request be deleted.
    RemoveFinalizer,
}

/// What comes next.
pub fn next(world: &World) -> Action {
    let request = &world.request;
    if !request.updates_version() || request.phase() == Phase::WaitingForApproval {
        return Action::Nothing;
    }
    if request.phase().is_terminal() {
        return finish(world);
    }
    match &world.job {
        Some(job) if job.metadata.deletion_timestamp.is_some() => Action::Nothing,
        Some(job) => supervise(world, job),
        None => begin(world),
    }
}

/// The request has ended; its finalizer goes as soon as no Job can act for it any more.
fn finish(world: &World) -> Action {
    let at_work = world.job.as_ref().is_some_and(|job| job::state(job) == JobState::Active);
    if has_finalizer(&world.request) && !at_work { Action::RemoveFinalizer } else { Action::Nothing }
}

/// There is a Job.
fn supervise(world: &World, job: &Job) -> Action {
    match job::state(job) {
        JobState::Complete => completed(world),
        JobState::Failed(why) => failed(world, &why),
        JobState::Withdrawn(_) if world.has_live_pods() => Action::LookAgain(LOOK_AGAIN),
        JobState::Withdrawn(_) if has_begun(world, job) => Action::Resume,
        JobState::Withdrawn(Withdrawal { reason, message }) => {
            let message = format!("{} was not touched: {message}", world.place());
            Action::Fail { reason, message }
        }
        JobState::Active if world.request.phase() != Phase::Progressing => Action::Progress,
        JobState::Active => watch_start(world, job),
    }
}

/// The Job is at work: does its pod get going?
fn watch_start(world: &World, job: &Job) -> Action {
    let Some(Stuck { reason, message, since }) = stuck(world, job) else { return Action::Nothing };
    let left = START_GRACE - world.now.duration_since(since);
    if left.is_positive() {
        return Action::LookAgain(left);
    }
    if has_begun(world, job) {
        let message = format!("the upgrade has begun and goes on as soon as its pod starts: {message}");
        return Action::Warn { reason, message };
    }
    Action::Withdraw(Withdrawal { reason: reason.to_owned(), message })
}

/// A pod that cannot start, or none where there should be one: a quota or a policy may forbid it.
fn stuck(world: &World, job: &Job) -> Option<Stuck> {
    // Pods that have ended stay: their Job is about to end, or to make another.
    if !world.pods.is_empty() {
        return pods::stuck(&world.pods);
    }
    let name = world.job_name();
    let since = job.metadata.creation_timestamp.as_ref()?.0;
    let message = format!("job {name} gets no pod: kubectl describe job {name} says why");
    Some(Stuck { reason: "WorkerPod", message, since })
}

/// Whether the runner may have done anything. It says so in the request's status before it acts, so
/// this holds although its pod may be gone.
fn has_begun(world: &World, job: &Job) -> bool {
    let status = world.request.status.as_ref();
    let said = status.is_some_and(|status| {
        status.step.is_some() || status.conditions.iter().any(|it| it.type_ != CONDITION_WAITING)
    });
    said || world.is_paused_by_request()
        || job::failures(job) > 0
        || world.pods.iter().any(pods::runner_began)
}

/// The Job ended well, but the request does not say how: its last words were lost.
fn completed(world: &World) -> Action {
    let has = world.database.as_ref().map(|database| database.spec.version.as_str());
    if has.is_some() && has == world.request.target() && !world.is_paused_by_request() {
        return Action::Succeed;
    }
    failed(world, &format!("it ended well, but the database has version {}", has.unwrap_or("unknown")))
}

fn failed(world: &World, why: &str) -> Action {
    let place = world.place();
    let words = pods::last_words(&world.pods).map(|words| format!("; {words}")).unwrap_or_default();
    let paused = if world.is_paused_by_request() {
        let replicas = world.workload.as_ref().and_then(|workload| workload.spec.as_ref()?.replicas);
        let down = if replicas == Some(0) { " and does not serve: its StatefulSet has no pods" } else { "" };
        format!("{place} is still paused by this request{down}: docs/runbook.md tells what to do")
    } else {
        format!("{place} is not paused by this request")
    };
    let message = format!("job {} failed ({why}){words}. {paused}", world.job_name());
    Action::Fail { reason: "JobFailed".to_owned(), message }
}

/// There is no Job.
fn begin(world: &World) -> Action {
    // A second worker must not start while the first one's pod may still act.
    if world.has_live_pods() {
        return Action::LookAgain(LOOK_AGAIN);
    }
    let working = world.request.phase() == Phase::Progressing;
    // A database that is paused for the request needs a worker, which goes on or rolls back.
    if world.request.metadata.deletion_timestamp.is_some() && !(working && world.needs_rescue()) {
        return if has_finalizer(&world.request) { Action::RemoveFinalizer } else { Action::Nothing };
    }
    if working && world.database.is_none() {
        let message = format!("{} and the Job of this request are gone", world.place());
        return Action::Fail { reason: "DatabaseNotFound".to_owned(), message };
    }
    if working {
        return match prepare::again(world) {
            Ok(worker) => Action::Launch(Box::new(worker)),
            Err(Refused { reason, message }) => Action::Warn { reason, message },
        };
    }
    if let Some(from) = unacknowledged(world) {
        return Action::Acknowledge { from };
    }
    if let Some(blocker) = world.blocker() {
        let name = blocker.metadata.name.as_deref().unwrap_or_default();
        let message = format!(
            "waits until PostgresOpsRequest {name} ({:?}) on {} has ended",
            blocker.phase(),
            world.place()
        );
        return Action::Wait { reason: "Blocked", message };
    }
    let facts = Facts {
        request: &world.request,
        database: world.database.as_ref(),
        catalog: &world.catalog,
        active: &[],
    };
    match decide(&facts) {
        Ok(Admitted { upgrade: None, .. }) => Action::Nothing,
        Ok(Admitted { upgrade: Some(upgrade), .. }) => match prepare::first(world, upgrade) {
            Ok(worker) => Action::Launch(Box::new(worker)),
            Err(Refused { reason, message }) => Action::Deny { reason, message },
        },
        Err(Denial { reason, message, .. }) if reason.may_pass() => {
            Action::Wait { reason: reason.as_str(), message }
        }
        Err(Denial { reason, message, .. }) => Action::Deny { reason: reason.as_str(), message },
    }
}

/// The database's version, unless the request's status names it already.
fn unacknowledged(world: &World) -> Option<String> {
    let has = &world.database.as_ref()?.spec.version;
    let status = world.request.status.as_ref();
    let said = status.is_some_and(|status| status.phase.is_some() && status.from.as_ref() == Some(has));
    (!said).then(|| has.clone())
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
