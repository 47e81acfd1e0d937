//! The restart of several servers, one by one: of exactly the pods that existed when the stage began, known by their uids.

use k8s_openapi::jiff::SignedDuration;
use pgops_api::rollout::{self, Action, IfUnfit, MemberState, Observed};

use super::replace_pod::unmet_precondition;
use crate::day_two::facts::{Facts, State};
use crate::day_two::plan::{Stage, blamed_stage};
use crate::day_two::step::Step;

/// Reason of a wait: a server is not as it must be before the next one is stopped.
pub const STANDBYS_NOT_READY: &str = "StandbysNotReady";
/// How long one server may take to start and to stream. The time limit of a request is that of the whole stage.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// Before the uid of each pod in the message that records which pods are replaced.
const UID: &str = "(uid ";

/// Replaces the pods; none if that is done.
pub fn roll_out(facts: &Facts, observed: &Observed) -> Option<Step> {
    match facts.state(Stage::Restart) {
        State::Done(_) | State::Failed(_) => None,
        State::NotBegun => Some(unmet_precondition(facts).unwrap_or_else(|| begin(observed))),
        State::Running(_, message) => Some(replace(facts, &with_recorded(observed, message))),
    }
}

/// The same, unless every pod is of the present template already.
pub fn roll_out_if_outdated(facts: &Facts, observed: &Observed) -> Option<Step> {
    let is_current = |state: &MemberState| matches!(state, MemberState::Exists(server) if server.template == rollout::Template::Current);
    let is_needed = !matches!(facts.state(Stage::Restart), State::NotBegun)
        || !observed.members.iter().all(|member| is_current(&member.state));
    if is_needed { roll_out(facts, observed) } else { None }
}

/// The wait for servers that are not as they must be before the first one is stopped.
pub fn not_ready(observed: &Observed) -> Option<Step> {
    let obstacles: Vec<_> = rollout::obstacles(observed).iter().map(ToString::to_string).collect();
    (!obstacles.is_empty()).then(|| Step::waiting(STANDBYS_NOT_READY, obstacles.join("; ")))
}

/// Records which pods are replaced, once each server is as it must be.
fn begin(observed: &Observed) -> Step {
    if let Some(wait) = not_ready(observed) {
        return wait;
    }
    let pods = observed.members.iter().filter_map(|member| match &member.state {
        MemberState::Exists(server) => Some(format!("{} {UID}{})", member.pod, server.uid)),
        MemberState::Missing | MemberState::Ending => None,
    });
    let message = format!("replacing pods {}", pods.collect::<Vec<_>>().join(", "));
    Step::Begin { stage: Stage::Restart, message }
}

/// The same servers, of which those that existed when the stage began count as outdated.
fn with_recorded(observed: &Observed, message: &str) -> Observed {
    let recorded: Vec<_> =
        message.split(UID).skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    let mut observed = observed.clone();
    for member in &mut observed.members {
        if let MemberState::Exists(server) = &mut member.state
            && recorded.contains(&server.uid.as_str())
        {
            server.template = rollout::Template::Earlier;
        }
    }
    observed
}

fn replace(facts: &Facts, observed: &Observed) -> Step {
    match rollout::next(observed, IfUnfit::Wait) {
        Action::Done => {
            Step::completed(Stage::Restart, "every pod was replaced and is ready, and every standby streams")
        }
        Action::ReplacePod { name, uid } => Step::DeleteMember { name, uid },
        Action::SwitchOver { from, to } => Step::SwitchOver { from, to },
        Action::Stuck(obstacle) => failed(facts, &obstacle),
        Action::Wait(obstacle) => {
            let since = facts.waiting_since(STANDBYS_NOT_READY);
            if since.is_some_and(|since| facts.now.duration_since(since) >= PATIENCE) {
                return failed(facts, &obstacle);
            }
            Step::waiting(STANDBYS_NOT_READY, obstacle.to_string())
        }
    }
}

/// What the request has changed, if anything, is put back.
fn failed(facts: &Facts, obstacle: &rollout::Obstacle) -> Step {
    let stage = blamed_stage(facts.operation).unwrap_or(Stage::Restart);
    Step::failed(stage, STANDBYS_NOT_READY, obstacle.to_string())
}
