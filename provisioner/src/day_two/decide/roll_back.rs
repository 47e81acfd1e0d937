//! The servers of a database with standbys get the previous spec again: those that were made from the other one are replaced.

use k8s_openapi::jiff::Timestamp;
use pgops_api::rollout::{self, Action, IfUnfit, Observed};

use super::roll_out::{PATIENCE, STANDBYS_NOT_READY};
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::Stage;
use crate::day_two::step::Step;

/// Replaces them one by one, and ends the request once every server is as before, or if that takes too long.
pub fn roll_back(
    facts: &Facts,
    observed: &Observed,
    what: &str,
    failed_at: Timestamp,
    reason: String,
    message: &str,
) -> Step {
    let key = facts.key();
    if facts.template != Template::Current {
        return wait(
            facts,
            failed_at,
            &reason,
            &format!("the StatefulSet does not have {what} yet"),
            message,
        );
    }
    match rollout::next(observed, IfUnfit::Replace) {
        Action::ReplacePod { name, uid } => Step::DeleteMember { name, uid },
        Action::SwitchOver { from, to } => Step::SwitchOver { from, to },
        Action::Wait(obstacle) | Action::Stuck(obstacle) => {
            wait(facts, failed_at, &reason, &obstacle.to_string(), message)
        }
        Action::Done if matches!(facts.state(Stage::Restart), State::Running(..)) => {
            Step::completed(Stage::Restart, format!("every pod is ready, with {what}"))
        }
        Action::Done => Step::End { reason, message: format!("{key} serves with {what}: {message}") },
    }
}

fn wait(facts: &Facts, failed_at: Timestamp, reason: &str, words: &str, message: &str) -> Step {
    if facts.now.duration_since(failed_at) < PATIENCE {
        return Step::waiting(STANDBYS_NOT_READY, words);
    }
    let key = facts.key();
    let message = format!("not every server of {key} is as before yet: {words}. Before that: {message}");
    Step::End { reason: reason.to_owned(), message }
}
