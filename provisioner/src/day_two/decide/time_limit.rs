//! The time limit of a request: each of its stages may take as long, from its begin, whatever it waits for.

use k8s_openapi::jiff::Timestamp;

use crate::day_two::facts::{Facts, State};
use crate::day_two::plan::{Stage, blamed_stage, stages};
use crate::day_two::step::{Obstacle, Step};

/// The next step, unless the stage has been waiting for longer than the request allows.
pub fn limit(facts: &Facts, next: Step) -> Step {
    let Some(Obstacle { reason, message }) = obstacle(facts, &next) else { return next };
    let running = running(facts);
    // Before the first stage, and between two, the time of the wait itself is all that is known.
    let since = running.map(|(_, since)| since).or_else(|| facts.waiting_since(reason));
    if !since.is_some_and(|since| facts.is_over(since, None)) {
        return next;
    }
    if !facts.has_begun() {
        let message = format!("{} was not touched: {message}", facts.key());
        return Step::End { reason: reason.to_owned(), message };
    }
    match failing(facts, running.map(|(stage, _)| stage)) {
        Some(stage) => Step::failed(stage, reason, message),
        None => next,
    }
}

/// What keeps the request from continuing.
fn obstacle(facts: &Facts, next: &Step) -> Option<Obstacle> {
    match next {
        Step::Wait(Some(obstacle)) => Some(obstacle.clone()),
        Step::Wait(None) => {
            let message = "it has taken longer than spec.timeout allows".to_owned();
            Some(Obstacle { reason: "TimedOut", message })
        }
        // It is tried again and again.
        Step::Propose(_)
        | Step::Change(_)
        | Step::DeletePod
        | Step::DeleteMember { .. }
        | Step::SwitchOver { .. }
        | Step::ProposePassword
        | Step::PromotePassword(_) => facts.refusal(),
        Step::Begin { .. }
        | Step::Complete { .. }
        | Step::Fail { .. }
        | Step::Revert(_)
        | Step::Forget
        | Step::WithdrawPassword(_)
        | Step::DiscardPassword { .. }
        | Step::Succeed { .. }
        | Step::End { .. } => None,
    }
}

/// The stage that runs, and since when.
fn running(facts: &Facts) -> Option<(Stage, Timestamp)> {
    stages(facts.request, facts.operation).iter().find_map(|stage| match facts.state(*stage) {
        State::Running(since, _) => Some((*stage, since)),
        State::NotBegun | State::Done(_) | State::Failed(_) => None,
    })
}

/// The stage that fails: that of the change if it is made already, so that it is put back.
fn failing(facts: &Facts, running: Option<Stage>) -> Option<Stage> {
    let is_done = |stage: &Stage| matches!(facts.state(*stage), State::Done(_));
    let next = stages(facts.request, facts.operation).iter().copied().find(|stage| !is_done(stage));
    blamed_stage(facts.operation).filter(is_done).or(running).or(next)
}
