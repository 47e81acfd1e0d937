//! What to do next for a request that holds its database: a pure function of what was observed.

mod change_spec;
mod expand;
mod reconfigure;
mod records;
mod replace_pod;
mod reverted;
mod roll_back;
mod roll_out;
mod rotate;
mod start_obstacle;
mod time_limit;
mod undo;
mod withdraw;

use pgops_api::opsrequest::DayTwo;

use super::facts::{Facts, State};
use super::plan::{Stage, change_stage, stages};
use super::step::{CANCELLED, Step};
use crate::observation::ServerPod;
use crate::restart::RESOURCES;
use change_spec::change;
use records::{after_outage, has_records};
pub use replace_pod::precedes_deletion;
use replace_pod::restart;
use reverted::reverted;
use roll_out::{not_ready, roll_out, roll_out_if_outdated};
pub use rotate::{not_created, proposed_message};
use start_obstacle::{refuse, start_obstacle};

/// The next step of the request.
pub fn next(facts: &Facts) -> Step {
    if let Some((stage, failure)) = facts.failed() {
        return undo::next(facts, stage, failure);
    }
    let next = cancelled(facts).or_else(|| reverted(facts));
    rotate::remember(facts, next.unwrap_or_else(|| time_limit::limit(facts, proceed(facts))))
}

fn proceed(facts: &Facts) -> Step {
    // The Secret must get the password that the server has.
    let stops = !rotate::is_applied(facts);
    if let Some(pause) = facts.database.paused().filter(|_| stops) {
        let message = pause.message.as_deref().unwrap_or("no reason given");
        return Step::waiting("DatabasePaused", format!("{} is paused (\"{message}\")", facts.key()));
    }
    if facts.database.spec.halted == Some(true) && stops {
        return Step::waiting("DatabaseHalted", format!("{} is halted: set spec.halted: false", facts.key()));
    }
    let next = match facts.operation {
        DayTwo::Restart => match &facts.rollout {
            Some(rollout) => roll_out(facts, &rollout.observed),
            None => restart(facts),
        },
        DayTwo::VerticalScaling => scale(facts),
        DayTwo::VolumeExpansion => expand::next(facts),
        DayTwo::Reconfigure => reconfigure::next(facts),
        DayTwo::RotateAuth => rotate::next(facts),
    };
    next.unwrap_or_else(|| succeed(facts))
}

/// The end of a request that its user no longer wants, unless it is done.
fn cancelled(facts: &Facts) -> Option<Step> {
    // A password that the server may have by now must become that of the Secret.
    if !facts.is_cancelled() || rotate::is_irrevocable(facts) {
        return None;
    }
    let stages = stages(facts.request, facts.operation);
    let current = stages.iter().find(|stage| !matches!(facts.state(**stage), State::Done(_)))?;
    let is_deleted = facts.request.metadata.deletion_timestamp.is_some();
    let how = if is_deleted { "was deleted" } else { "was cancelled by its annotation pgops.dev/cancel" };
    let has_begun = stages.iter().any(|stage| !matches!(facts.state(*stage), State::NotBegun));
    if !has_begun {
        let message = format!("{} was not touched: the request {how}", facts.key());
        return Some(Step::End { reason: CANCELLED.to_owned(), message });
    }
    // What was changed is put back: that stage has failed, however far the server is with it.
    let changed = change_stage(facts.operation).filter(|stage| matches!(facts.state(*stage), State::Done(_)));
    Some(Step::failed(changed.unwrap_or(*current), CANCELLED, format!("the request {how}")))
}

/// New resources take effect with the next pod.
fn scale(facts: &Facts) -> Option<Step> {
    // Before anything is changed.
    if let Some(obstacle) = start_obstacle(facts).filter(|_| !facts.has_begun()) {
        return Some(refuse(facts, obstacle));
    }
    let rollout = facts.rollout.as_ref();
    if let Some(wait) = rollout.and_then(|it| not_ready(&it.observed)).filter(|_| !facts.has_begun()) {
        return Some(wait);
    }
    change(facts, Stage::VerticalScale, "spec.podTemplate has the new resources").or_else(|| {
        if let Some(rollout) = rollout {
            return roll_out_if_outdated(facts, &rollout.observed);
        }
        let has_begun = !matches!(facts.state(Stage::Restart), State::NotBegun);
        // They may be those that the pod has, whatever else waits for another one.
        let lacks_them = |pod: &ServerPod| pod.is_outdated && facts.running.restart.may_name(RESOURCES);
        let is_needed = has_begun || facts.pod().is_none_or(lacks_them);
        if is_needed { restart(facts) } else { None }
    })
}

/// Everything is done.
fn succeed(facts: &Facts) -> Step {
    // Those that may not be removed harm nothing: the next request replaces them.
    if has_records(facts) && facts.refusal().is_none() {
        return Step::Forget;
    }
    let key = facts.key();
    let mut message = match facts.operation {
        DayTwo::Restart => format!("{key} was restarted"),
        DayTwo::VerticalScaling => format!("{key} has the new resources"),
        DayTwo::VolumeExpansion => {
            format!("the volume of {key} has {}", facts.request.spec.volume_size().unwrap_or_default())
        }
        DayTwo::Reconfigure => reconfigure::result(facts),
        DayTwo::RotateAuth => {
            format!("{key} has a new password, which is in Secret {}", facts.database.auth_secret())
        }
    };
    message.push_str(&after_outage(facts));
    Step::Succeed { message }
}
