//! The restart of several servers, one by one: of exactly the pods that existed when the stage began, known by their uids.

use k8s_openapi::jiff::SignedDuration;
use pgops_api::rollout::{self, Action, IfUnfit, MemberState, Observed};

use super::replace_pod::{POD_NOT_CHECKED, await_template};
use super::start_obstacle::{refuse, start_obstacle};
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::Stage;
use crate::day_two::step::Step;
use crate::next_pod::NextPod;

/// Reason of a wait: a server is not as it must be before the next one is stopped.
const STANDBYS_NOT_READY: &str = "StandbysNotReady";
/// How long one server may take to start and to stream. The time limit of a request is that of the whole stage.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// Before the uid of each pod in the message that records which pods are replaced.
const UID: &str = "(uid ";

/// Replaces the pods; none if that is done.
pub fn roll_out(facts: &Facts, observed: &Observed) -> Option<Step> {
    match facts.state(Stage::Restart) {
        State::Done(_) | State::Failed(_) => None,
        State::NotBegun if facts.template == Template::Behind => Some(await_template()),
        State::NotBegun => Some(match (start_obstacle(facts), &facts.next_pod) {
            (Some(obstacle), _) => refuse(facts, obstacle),
            (None, NextPod::Unavailable(words)) => Step::waiting(POD_NOT_CHECKED, words.clone()),
            (None, NextPod::NotAsked | NextPod::Accepted | NextPod::Refused(_)) => begin(observed),
        }),
        State::Running(_, message) => Some(replace(facts, &with_recorded(observed, message))),
    }
}

/// Records which pods are replaced, once each server is as it must be.
fn begin(observed: &Observed) -> Step {
    let obstacles: Vec<_> = rollout::obstacles(observed).iter().map(ToString::to_string).collect();
    if !obstacles.is_empty() {
        return Step::waiting(STANDBYS_NOT_READY, obstacles.join("; "));
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
        Action::Stuck(obstacle) => Step::failed(Stage::Restart, STANDBYS_NOT_READY, obstacle.to_string()),
        Action::Wait(obstacle) => {
            let since = facts.waiting_since(STANDBYS_NOT_READY);
            if since.is_some_and(|since| facts.now.duration_since(since) >= PATIENCE) {
                return Step::failed(Stage::Restart, STANDBYS_NOT_READY, obstacle.to_string());
            }
            Step::waiting(STANDBYS_NOT_READY, obstacle.to_string())
        }
    }
}
