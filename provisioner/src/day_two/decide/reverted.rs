//! A change of the spec that another client has undone, such as a GitOps tool with its manifest.

use crate::day_two::facts::{Facts, State};
use crate::day_two::made::{changed_by, fields, is_made};
use crate::day_two::plan::change_stage;
use crate::day_two::step::{SPEC_REVERTED, Step};

/// The end of a request whose change of the spec another client has undone: it would undo it again.
pub fn reverted(facts: &Facts) -> Option<Step> {
    let stage = change_stage(facts.operation)?;
    let replaced = facts.replaced();
    let has_changed = match facts.state(stage) {
        State::Done(_) => true,
        State::Running(..) => replaced.is_some(),
        State::NotBegun | State::Failed(_) => false,
    };
    if !has_changed || is_made(facts.database, facts.request, facts.operation, replaced.as_ref()) {
        return None;
    }
    let (shown, names) = fields(facts.operation);
    let by = changed_by(facts.database, names).map(|manager| format!(" ({manager})")).unwrap_or_default();
    Some(Step::failed(
        stage,
        SPEC_REVERTED,
        format!(
            "another client{by} has changed {shown} of the Postgres since the request changed it. Change it there first, for \
             example in Git, and apply another request"
        ),
    ))
}
