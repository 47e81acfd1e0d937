//! A request that has ended half way goes on, because a person has removed the cause and says so.

use pgops_api::names::ANNOTATION_RESUME;
use pgops_api::opsrequest::Phase;

use super::begin::leave;
use super::next::Action;
use super::prepare::{self, Refused};
use super::world::World;

/// Nothing acts for the request any more, which has ended and is to go on.
pub fn carry_on(world: &World) -> Action {
    if world.request.metadata.deletion_timestamp.is_some() {
        return leave(world);
    }
    if let Some(why) = obstacle(world) {
        return Action::Forget { why: Some(format!("{ANNOTATION_RESUME} has no effect: {why}")) };
    }
    match &world.job {
        None => Action::CarryOn,
        Some(job) if job.metadata.deletion_timestamp.is_some() => Action::Nothing,
        Some(_) => Action::RemoveJob,
    }
}

/// Why it cannot go on. The pause is what tells that it can: as long as it stands, nobody else has changed the
/// database. And what it has come to, its Job and its condition, stays until another Job can be made.
fn obstacle(world: &World) -> Option<String> {
    if world.request.phase() != Phase::Failed {
        return Some("the request has not failed".to_owned());
    }
    if !world.is_paused_by_request() {
        let place = world.place();
        return Some(format!("{place} is not paused by this request. A new attempt is a new request"));
    }
    if !world.needs_rescue() {
        return Some(format!("{} is being deleted", world.place()));
    }
    prepare::again(world).err().map(|Refused { message, .. }| message)
}
