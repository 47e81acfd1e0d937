//! Problems of an object as a decision.

use pgops_api::spec_check::SpecProblem;

use crate::admission::decision::{Cause, Decision};

/// Denies an object that has problems. The first problem is the cause, and the message has all of them.
pub fn refuse(problems: Vec<SpecProblem>) -> Result<(), Decision> {
    let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let Some(SpecProblem { reason, field, .. }) = problems.into_iter().next() else { return Ok(()) };
    let cause = Cause { reason: reason.as_str(), message, field: field.into() };
    Err(if reason.is_field_error() { Decision::Invalid(cause) } else { Decision::Forbidden(cause) })
}
