//! What the launcher does next, by the situation of the request.

mod admit;
mod day_two;
mod deleted;
mod finish;
mod held;
mod resume;
mod start;
mod supervise;

use super::next_action;
use crate::launcher::action::Action;
use crate::launcher::fixtures::StateBuilder;
use pgops_api::opsrequest::{Phase, RequestType};
use rstest::rstest;

/// Name of the next action.
fn next(state: StateBuilder) -> &'static str {
    describe(&next_action(&state.build())).0
}

/// Name of the action, and its text.
fn describe(action: &Action) -> (&'static str, String) {
    let text = |reason: &str, message: &str| format!("{reason}: {message}");
    match action {
        Action::Nothing => ("Nothing", String::new()),
        Action::Recheck(_) => ("Recheck", String::new()),
        Action::Acknowledge { from } => ("Acknowledge", from.clone()),
        Action::Wait { reason, message } => ("Wait", text(reason, message)),
        Action::Deny { reason, message } => ("Deny", text(reason, message)),
        Action::Claim(claim) => ("Claim", claim.job.clone().unwrap_or_default()),
        Action::StartJob => ("StartJob", String::new()),
        Action::EndPods { grace } => ("EndPods", format!("{grace:?}")),
        Action::FreeVolume => ("FreeVolume", String::new()),
        Action::ReleaseJob => ("ReleaseJob", String::new()),
        Action::StopWaiting => ("StopWaiting", String::new()),
        Action::DeleteJob => ("DeleteJob", String::new()),
        Action::Revoke => ("Revoke", String::new()),
        Action::GrantOwnPods(_) => ("GrantOwnPods", String::new()),
        Action::Resume => ("Resume", String::new()),
        Action::ClearResume { rejected } => ("ClearResume", rejected.clone().unwrap_or_default()),
        Action::Release => ("Release", String::new()),
        Action::Launch(worker) => ("Launch", worker.plan.from.image.clone()),
        Action::MarkProgressing => ("MarkProgressing", String::new()),
        Action::Withdraw(it) => ("Withdraw", text(&it.reason, &it.message)),
        Action::UnsuspendJob => ("UnsuspendJob", String::new()),
        Action::Warn { reason, message } => ("Warn", text(reason, message)),
        Action::Fail { reason, message } => ("Fail", text(reason, message)),
        Action::Succeed { message } => ("Succeed", message.clone()),
        Action::RemoveFinalizer => ("RemoveFinalizer", String::new()),
    }
}

/// Asserts that the next action has this name, reason and part of the message.
fn assert_says(state: StateBuilder, name: &str, reason: &str, part: &str) {
    let (found, text) = describe(&next_action(&state.build()));
    assert_eq!(found, name, "{text}");
    assert!(text.starts_with(&format!("{reason}: ")), "{text}");
    assert!(text.contains(part), "{text}");
}

#[rstest]
#[case::other_operation(StateBuilder::new().request_type(RequestType::HorizontalScaling))]
#[case::unapproved(StateBuilder::new().phase(Phase::WaitingForApproval))]
#[case::ended(StateBuilder::new().phase(Phase::Successful))]
fn request_that_is_not_the_launchers_is_left_alone(#[case] state: StateBuilder) {
    assert_eq!(next(state), "Nothing");
}
