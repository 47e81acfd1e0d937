//! What was recorded so far: in the status of the request, and on the Postgres.

use std::fmt::Write;

use crate::day_two::facts::Facts;

/// How long the database did not serve, if it was stopped.
pub fn after_outage(facts: &Facts) -> String {
    let outage = facts.request.status.as_ref().and_then(|status| status.outage.as_deref());
    let mut text = String::new();
    // One that lasts is shown with its begin.
    if let Some(outage) = outage.filter(|outage| !outage.starts_with("since")) {
        let _ = write!(text, " after {outage} of outage");
    }
    text
}

/// Whether something is recorded for the request on the Postgres.
pub fn has_records(facts: &Facts) -> bool {
    facts.replaced().is_some() || facts.database.candidate_settings().is_some()
}
