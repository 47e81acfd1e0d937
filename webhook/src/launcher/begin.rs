//! From a stored request to a Job that works: whose turn it is, and whether it still may.
//!
//! Claim, Job, the Job's name in the claim, start: one write each, and each is decided on anew. In front
//! of the claim stands the order of creation, see [`World::blocker`].

use k8s_openapi::api::batch::v1::Job;
use pgops_api::admission::{Admitted, AdmittedUpgrade, Denial, Facts, decide};
use pgops_api::opsrequest::Phase;

use super::claim::{self, Claim, Standing};
use super::job::Withdrawal;
use super::next::{Action, LOOK_AGAIN};
use super::prepare::{self, Refused};
use super::world::{World, has_finalizer};

/// There is no Job.
pub fn begin(world: &World) -> Action {
    // A second worker must not start while the first one's pod may still act.
    if world.has_live_pods() {
        return Action::LookAgain(LOOK_AGAIN);
    }
    // A database that is paused for the request needs a worker, which goes on or rolls back.
    if world.request.metadata.deletion_timestamp.is_some() && !(is_working(world) && world.needs_rescue()) {
        return leave(world);
    }
    if is_working(world) && world.database.is_none() {
        let message = format!("{} and the Job of this request are gone", world.place());
        return Action::Fail { reason: "DatabaseNotFound".to_owned(), message };
    }
    let worker = if is_working(world) {
        prepare::again(world).map_err(|Refused { reason, message }| Action::Warn { reason, message })
    } else if world.request.is_cancelled() {
        let Withdrawal { reason, message } = cancelled(BY_ANNOTATION);
        return Action::Fail { reason, message: format!("{} was not touched: {message}", world.place()) };
    } else {
        admit(world).and_then(|upgrade| {
            prepare::first(world, upgrade)
                .map_err(|Refused { reason, message }| Action::Deny { reason, message })
        })
    };
    let worker = match worker {
        Ok(worker) => worker,
        Err(instead) => return instead,
    };
    match claim::standing(world) {
        Standing::Ours => Action::Launch(Box::new(worker)),
        Standing::Free => Action::Claim(Claim::of(&world.request, None)),
        Standing::Taken(message) => Action::Wait { reason: BLOCKED, message },
    }
}

/// There is a Job, which was never let go.
pub fn start(world: &World, job: &Job) -> Action {
    // Of an earlier Job of that name, which somebody deleted.
    if world.has_live_pods() {
        return Action::LookAgain(LOOK_AGAIN);
    }
    if !is_working(world) {
        if world.request.metadata.deletion_timestamp.is_some() {
            return Action::Withdraw(cancelled("was deleted"));
        }
        if world.request.is_cancelled() {
            return Action::Withdraw(cancelled(BY_ANNOTATION));
        }
        if let Err(instead) = admit(world) {
            return instead;
        }
    }
    match claim::standing(world) {
        Standing::Ours if claim::names(world, job) => Action::Start,
        Standing::Ours | Standing::Free => Action::Claim(Claim::of(&world.request, Some(job))),
        Standing::Taken(message) => Action::Wait { reason: BLOCKED, message },
    }
}

/// A request that will have no Job, or has ended, leaves the database first, then goes itself.
pub fn leave(world: &World) -> Action {
    if claim::is_held(world) && !world.has_live_pods() {
        return Action::Release;
    }
    if has_finalizer(&world.request) { Action::RemoveFinalizer } else { Action::Nothing }
}

const BLOCKED: &str = "Blocked";
/// How a person takes back a request that stays.
pub const BY_ANNOTATION: &str = "was cancelled by its annotation pgops.dev/cancel";

/// Why a Job that has done nothing never will.
pub fn cancelled(how: &str) -> Withdrawal {
    Withdrawal { reason: "Cancelled".to_owned(), message: format!("the request {how} before its Job began") }
}

fn is_working(world: &World) -> bool {
    world.request.phase() == Phase::Progressing
}

/// What the request comes to, or what there is to do instead: the decision of admission, made again.
fn admit(world: &World) -> Result<AdmittedUpgrade, Action> {
    if let Some(from) = unacknowledged(world) {
        return Err(Action::Acknowledge { from });
    }
    if let Some(blocker) = world.blocker() {
        let name = blocker.metadata.name.as_deref().unwrap_or_default();
        let message = claim::waits_for(world, &format!("PostgresOpsRequest {name} ({:?})", blocker.phase()));
        return Err(Action::Wait { reason: BLOCKED, message });
    }
    let facts = Facts {
        request: &world.request,
        database: world.database.as_ref(),
        catalog: &world.catalog,
        active: &[],
    };
    match decide(&facts) {
        Ok(Admitted { upgrade: Some(upgrade), .. }) => Ok(upgrade),
        Ok(Admitted { upgrade: None, .. }) => Err(Action::Nothing),
        Err(Denial { reason, message, .. }) if reason.is_transient() => {
            Err(Action::Wait { reason: reason.as_str(), message })
        }
        Err(Denial { reason, message, .. }) => Err(Action::Deny { reason: reason.as_str(), message }),
    }
}

/// The database's version, unless the request's status names it already.
fn unacknowledged(world: &World) -> Option<String> {
    let has = &world.database.as_ref()?.spec.version;
    let status = world.request.status.as_ref();
    let said = status.is_some_and(|status| status.phase.is_some() && status.from.as_ref() == Some(has));
    (!said).then(|| has.clone())
}
