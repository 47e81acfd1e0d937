//! The conditions of a request, for error messages.

use pgops_api::{Condition, PostgresOpsRequest};

/// The conditions, one per line.
#[must_use]
pub fn format_conditions(request: &PostgresOpsRequest) -> String {
    let all = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    all.iter().map(format_condition).collect()
}

fn format_condition(condition: &Condition) -> String {
    let reason = condition.reason.as_deref().unwrap_or_default();
    let message = condition.message.as_deref().unwrap_or_default();
    format!("\n  {}={} {reason}: {message}", condition.type_, condition.status)
}
