//! What comes next for one request: a pure function of what was observed.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::jiff::SignedDuration;
use pgops_api::opsrequest::{CONDITION_DRY_RUN, CONDITION_WAITING, Phase, resume_command};

use super::begin::{self, begin, leave, start};
use super::carry_on::carry_on;
use super::claim::{self, Claim};
use super::job::{self, JobState, Withdrawal};
use super::pods::{self, Stuck};
use super::worker::Worker;
use super::world::{World, has_finalizer};

/// How long a worker may fail to start before its request ends.
const START_GRACE: SignedDuration = SignedDuration::from_mins(2);
/// Pause before what waits is looked at again.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(10);

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
    /// Write this claim on the database, which was found free or the request's own.
    Claim(Claim),
    /// Make the Job and what it needs, as far as it is not there. It does not begin by itself.
    Launch(Box<Worker>),
    /// Let the Job begin: the claim names it.
    Start,
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
    /// Remove the Job, which has ended: the next one has the same name.
    RemoveJob,
    /// Put a request that has ended to work again: its journal knows where it is.
    CarryOn,
    /// Take the wish to carry on off the request.
    Forget {
        /// Why it was not heard, where its author must know.
        why: Option<String>,
    },
    /// Take the request's claim off the database.
    Release,
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
    if request.wants_resume() {
        // It goes on. The wish goes before there is a Job, whose end would be met by it.
        return Action::Forget { why: None };
    }
    match &world.job {
        Some(job) if job.metadata.deletion_timestamp.is_some() => Action::Nothing,
        Some(job) => supervise(world, job),
        None => begin(world),
    }
}

/// The request has ended; claim and finalizer go as soon as no Job can act for it any more, unless
/// somebody wants it to go on.
fn finish(world: &World) -> Action {
    let then = if world.request.wants_resume() {
        carry_on
    } else if has_finalizer(&world.request) {
        leave
    } else {
        return Action::Nothing;
    };
    if let Some(job) = &world.job {
        match job::state(job) {
            JobState::Active => return Action::Nothing,
            // Whoever saw the claim name it may be about to start it: a change of the Job prevents that.
            JobState::Held if claim::names(world, job) => {
                let message = "the request has ended".to_owned();
                return Action::Withdraw(Withdrawal { reason: "Ended".to_owned(), message });
            }
            JobState::Held | JobState::Withdrawn(_) | JobState::Complete | JobState::Failed(_) => {}
        }
    }
    // The next request must not begin beside them. A request that is deleted goes all the same: its claim
    // is taken over when they have ended.
    if world.has_live_pods() && world.request.metadata.deletion_timestamp.is_none() {
        return Action::LookAgain(LOOK_AGAIN);
    }
    then(world)
}

/// There is a Job.
fn supervise(world: &World, job: &Job) -> Action {
    match job::state(job) {
        JobState::Held => start(world, job),
        JobState::Complete => completed(world),
        JobState::Failed(why) => failed(world, &why),
        JobState::Withdrawn(_) if world.has_live_pods() => Action::LookAgain(LOOK_AGAIN),
        JobState::Withdrawn(_) if has_begun(world, job) => Action::Resume,
        JobState::Withdrawn(Withdrawal { reason, message }) => {
            let message = format!("{} was not touched: {message}", world.place());
            Action::Fail { reason, message }
        }
        JobState::Active if world.request.is_cancelled() && !has_begun(world, job) => {
            Action::Withdraw(begin::cancelled(begin::BY_ANNOTATION))
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
    let started = job.status.as_ref().and_then(|status| status.start_time.as_ref());
    let since = started.or(job.metadata.creation_timestamp.as_ref())?.0;
    let message = format!("job {name} gets no pod: kubectl describe job {name} says why");
    Some(Stuck { reason: "WorkerPod", message, since })
}

/// Whether the runner may have done anything.
fn has_begun(world: &World, job: &Job) -> bool {
    has_acted(world) || job::failures(job) > 0
}

/// Whether the runner ever ran. It says so in the request's status before it acts, so this holds
/// although its pod may be gone.
fn has_acted(world: &World) -> bool {
    let status = world.request.status.as_ref();
    let said = status.is_some_and(|status| {
        let ours = |type_: &str| [CONDITION_DRY_RUN, CONDITION_WAITING].contains(&type_);
        status.step.is_some() || status.conditions.iter().any(|it| !ours(&it.type_))
    });
    said || world.is_paused_by_request() || world.pods.iter().any(pods::runner_began)
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
    let words = pods::last_words(&world.pods);
    if let Some(words) = words.as_ref().filter(|_| !has_acted(world)) {
        let message = format!("{place} was not touched: {words}");
        return Action::Fail { reason: "WorkerFailed".to_owned(), message };
    }
    let words = words.map(|words| format!("; {words}")).unwrap_or_default();
    let paused = if world.is_paused_by_request() {
        let replicas = world.workload.as_ref().and_then(|workload| workload.spec.as_ref()?.replicas);
        let down = if replicas == Some(0) { " and does not serve: its StatefulSet has no pods" } else { "" };
        let namespace = world.request.metadata.namespace.as_deref().unwrap_or_default();
        let request = world.request.metadata.name.as_deref().unwrap_or_default();
        let again = resume_command(namespace, request);
        format!(
            "{place} is still paused by this request{down}. Once the cause is gone, it goes on by: {again} (docs/runbook.md)"
        )
    } else {
        format!("{place} is not paused by this request")
    };
    let message = format!("job {} failed ({why}){words}. {paused}", world.job_name());
    Action::Fail { reason: "JobFailed".to_owned(), message }
}

#[cfg(test)]
#[path = "next_tests.rs"]
mod tests;
