//! A larger volume.

use pgops_api::opsrequest::ExpansionMode;

use super::replace_pod::restart;
use crate::day_two::facts::{Facts, State};
use crate::day_two::plan::Stage;
use crate::day_two::step::Step;
use crate::expansion::Expansion;

const STAGE: Stage = Stage::VolumeExpansion;

/// Raises `spec.storage` and waits until the volume is as large; none if it is.
pub fn next(facts: &Facts) -> Option<Step> {
    let since = match facts.state(STAGE) {
        State::Done(_) | State::Failed(_) => return None,
        // Before anything is changed: spec.storage could not be lowered again.
        State::NotBegun => {
            return Some(match &facts.preview {
                Some(Expansion::Blocked(state)) => Step::failed(STAGE, state.reason, state.to_string()),
                _ => Step::Begin { stage: STAGE, message: "raising spec.storage of the Postgres".to_owned() },
            });
        }
        State::Running(since, _) => since,
    };
    if facts.replaced().is_none() {
        return Some(Step::Change(STAGE));
    }
    Some(match &facts.running.expansion {
        Some(Expansion::Done) => Step::completed(STAGE, "the volume has the requested size"),
        Some(Expansion::Blocked(state)) => Step::failed(STAGE, state.reason, state.to_string()),
        Some(Expansion::InProgress(state)) if facts.is_over(since, None) => {
            Step::failed(STAGE, "ExpansionTimeout", format!("it has taken longer than spec.timeout: {state}"))
        }
        Some(Expansion::InProgress(state)) => {
            let needs_restart = state.reason == "FileSystemResizePending" && is_offline(facts);
            let restart = if needs_restart { restart(facts) } else { None };
            restart.unwrap_or_else(|| Step::waiting(state.reason, state.to_string()))
        }
        // The claim will report the rest.
        Some(Expansion::Raise(_)) | None => Step::Wait(None),
    })
}

fn is_offline(facts: &Facts) -> bool {
    facts.request.spec.expansion_mode() == ExpansionMode::Offline
}
