//! A stage has failed: what was replaced is put back, the pod gets it again, and then the request ends.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pgops_api::Condition;
use pgops_api::opsrequest::DayTwo;

use super::records::{after_outage, has_records};
use super::replace_pod::{is_replacement, words};
use super::roll_back::roll_back;
use super::withdraw;
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::Stage;
use crate::day_two::step::{CHANGE_REFUSED, SPEC_REVERTED, Step};
use crate::expansion::requested;
use crate::observation::ServerPod;

/// How long the pod with the previous spec is waited for, whatever the request says: what is to be reported is its end.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The next step of a request of which this stage has failed.
pub fn next(facts: &Facts, stage: Stage, failure: &Condition) -> Step {
    if facts.operation == DayTwo::RotateAuth {
        return withdraw::next(facts, stage, failure);
    }
    let failed_at = failure.last_transition_time.0;
    let reason = failure.reason.clone().unwrap_or_default();
    let message = failure.message.as_deref().unwrap_or_default();
    let key = facts.key();
    if let Some(refusal) = facts.refusal().filter(|_| facts.now.duration_since(failed_at) >= PATIENCE) {
        let message = format!(
            "what the request has changed of {key} could not be put back: {}. Before that: {message}",
            refusal.message
        );
        return Step::End { reason, message };
    }
    let is_reverted = reason == SPEC_REVERTED;
    let can_revert = matches!(facts.operation, DayTwo::VerticalScaling | DayTwo::Reconfigure) && !is_reverted;
    if let Some(replaced) = facts.replaced().filter(|_| can_revert) {
        return Step::Revert(replaced);
    }
    if has_records(facts) {
        return Step::Forget;
    }
    if stage == Stage::CheckSettings || reason == CHANGE_REFUSED {
        return Step::End { reason, message: format!("{key} was not touched: {message}") };
    }
    if is_reverted {
        return leave(facts, failed_at, reason, message);
    }
    match facts.operation {
        DayTwo::Restart | DayTwo::RotateAuth => {
            Step::End { reason, message: format!("{key} is being restarted: {message}") }
        }
        DayTwo::VolumeExpansion => Step::End { reason, message: after_expansion(facts, message) },
        DayTwo::VerticalScaling => serve_again(facts, "the previous resources", failed_at, reason, message),
        DayTwo::Reconfigure => serve_again(facts, "the previous settings", failed_at, reason, message),
    }
}

/// The requested size stays, since a volume cannot shrink.
fn after_expansion(facts: &Facts, why: &str) -> String {
    let key = facts.key();
    let wanted = facts.request.spec.volume_size();
    match requested(facts.database) {
        Some(size) if Some(size) == wanted => {
            format!(
                "spec.storage of {key} requests {size} now, and the volume may still become as large: {why}"
            )
        }
        _ => format!("{key} was not touched: {why}"),
    }
}

/// Waits for a pod with the previous spec. One that was made from the other, or that does not start since then, is replaced; the
/// one that the request has found is left alone.
fn serve_again(facts: &Facts, what: &str, failed_at: Timestamp, reason: String, message: &str) -> Step {
    let key = facts.key();
    if let Some(state) = stopped(facts) {
        return Step::End { reason, message: format!("{key} has {what} again, and is {state}: {message}") };
    }
    if let Some(rollout) = &facts.rollout {
        return roll_back(facts, &rollout.observed, what, failed_at, reason, message);
    }
    let pod = facts.pod();
    let is_current = facts.template == Template::Current;
    if let Some(pod) = pod.filter(|pod| is_current && !pod.is_being_deleted) {
        let is_stuck = !pod.is_ready() && pod.created.is_none_or(|created| created <= failed_at);
        if is_replacement(facts, pod) && (pod.is_outdated || is_stuck) {
            return Step::DeletePod;
        }
        if pod.is_ready() && matches!(facts.state(Stage::Restart), State::Running(..)) {
            return Step::completed(Stage::Restart, format!("pod {} is ready, with {what}", pod.name));
        }
        if pod.is_ready() {
            let message = format!("{key} serves with {what}{}: {message}", after_outage(facts));
            return Step::End { reason, message };
        }
    }
    if facts.now.duration_since(failed_at) >= PATIENCE {
        let (_, now) = words(facts);
        let message =
            format!("{key} has {what} again, and does not serve yet: {now}. Before that: {message}");
        return Step::End { reason, message };
    }
    match &facts.running.unready {
        Some(problem) => Step::waiting(problem.reason, problem.message.clone()),
        None => Step::Wait(None),
    }
}

/// Why neither the StatefulSet nor the pod follows the spec, if its user wants that.
fn stopped(facts: &Facts) -> Option<&'static str> {
    if facts.database.paused().is_some() {
        return Some("paused");
    }
    (facts.database.spec.halted == Some(true)).then_some("halted")
}

/// Ends a request whose change another client has undone, as soon as there is a server. A pod that serves is not replaced, also if
/// the spec says something else by now.
fn leave(facts: &Facts, failed_at: Timestamp, reason: String, message: &str) -> Step {
    let key = facts.key();
    let pod = facts.pod().filter(|pod| !pod.is_being_deleted);
    let has_begun = matches!(facts.state(Stage::Restart), State::Running(..));
    if let Some(pod) = pod.filter(|pod| pod.is_ready()) {
        if has_begun {
            return Step::completed(Stage::Restart, format!("pod {} is ready", pod.name));
        }
        return Step::End { reason, message: format!("{key} serves{}: {message}", after_outage(facts)) };
    }
    let is_stuck = |pod: &ServerPod| pod.is_outdated && is_replacement(facts, pod);
    if facts.template == Template::Current && pod.is_some_and(is_stuck) {
        return Step::DeletePod;
    }
    if facts.now.duration_since(failed_at) >= PATIENCE {
        let (_, now) = words(facts);
        let message = format!("{key} does not serve yet: {now}. Before that: {message}");
        return Step::End { reason, message };
    }
    match &facts.running.unready {
        Some(problem) => Step::waiting(problem.reason, problem.message.clone()),
        None => Step::Wait(None),
    }
}
