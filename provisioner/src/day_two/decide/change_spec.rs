//! The change of the spec of a Postgres.

use k8s_openapi::jiff::SignedDuration;

use super::replace_pod::await_template;
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::Stage;
use crate::day_two::step::Step;

/// How long objects that cannot be built are waited for: an admission webhook may be restarting.
const BUILD_PATIENCE: SignedDuration = SignedDuration::from_secs(30);

/// Changes the spec, and waits until the StatefulSet is as it says; none if that is done.
pub fn change(facts: &Facts, stage: Stage, done: &str) -> Option<Step> {
    let since = match facts.state(stage) {
        State::Done(_) | State::Failed(_) => return None,
        State::NotBegun => {
            return Some(Step::Begin { stage, message: "changing the spec of the Postgres".to_owned() });
        }
        State::Running(since, _) => since,
    };
    if facts.replaced().is_none() {
        return Some(Step::Change(stage));
    }
    Some(match &facts.template {
        Template::Current => Step::completed(stage, done),
        Template::Behind if facts.has_just_begun(since) => Step::Wait(None),
        Template::Behind => await_template(),
        Template::Failed { reason, message } if facts.is_over(since, Some(BUILD_PATIENCE)) => {
            Step::failed(stage, *reason, message.clone())
        }
        Template::Failed { reason, message } => Step::waiting(reason, message.clone()),
    })
}
