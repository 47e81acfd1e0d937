//! The queue of requests for one database: whose turn it is.
//!
//! The claim guarantees that one request at a time changes the database; the queue only decides which one
//! is next.

use std::sync::Arc;

use kube::ResourceExt;
use pgops_api::PostgresOpsRequest;
use pgops_api::opsrequest::Phase;

use super::claim;
use super::state::State;

/// The request that must end before this one may start; none if it is this request's turn.
///
/// First comes the request that is running, then the one that holds the claim on the database, then the
/// oldest. The order is total, so no two requests can wait for each other.
pub fn blocking_request(state: &State) -> Option<&PostgresOpsRequest> {
    let holder = state.database.as_ref().and_then(claim::holder);
    let holder = holder.as_deref();
    let first = state.others.iter().map(Arc::as_ref).min_by_key(|other| position(other, holder))?;
    (position(first, holder) < position(&state.request, holder)).then_some(first)
}

/// The position of the request in the queue: the smallest is next.
fn position(request: &PostgresOpsRequest, holder: Option<&str>) -> impl Ord + use<> {
    let is_running = request.phase() == Phase::Progressing;
    let holds_claim = holder.is_some() && holder == request.metadata.uid.as_deref();
    (!is_running, !holds_claim, request.creation_timestamp(), request.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::StateBuilder;
    use rstest::rstest;

    const EARLIER: &str = "1970-01-01T00:01:00Z";
    const SAME_SECOND: &str = "1970-01-01T00:01:40Z";
    const LATER: &str = "1970-01-01T00:09:00Z";

    // The request is orders-17, created at 00:01:40.
    #[rstest]
    #[case::alone(StateBuilder::new(), None)]
    #[case::older(StateBuilder::new().other_request("x", EARLIER, Phase::Pending), Some("x"))]
    #[case::younger(StateBuilder::new().other_request("x", LATER, Phase::Pending), None)]
    #[case::same_second_by_name(StateBuilder::new().other_request("a", SAME_SECOND, Phase::Pending), Some("a"))]
    #[case::same_second_later_name(StateBuilder::new().other_request("p", SAME_SECOND, Phase::Pending), None)]
    #[case::younger_but_running(StateBuilder::new().other_request("x", LATER, Phase::Progressing), Some("x"))]
    #[case::younger_with_claim(
        StateBuilder::new().other_request("x", LATER, Phase::Pending).claimed_by("x", None),
        Some("x")
    )]
    #[case::running_before_claim(
        StateBuilder::new()
            .other_request("x", LATER, Phase::Progressing)
            .other_request("y", LATER, Phase::Pending)
            .claimed_by("y", None),
        Some("x")
    )]
    #[case::own_claim_before_older(
        StateBuilder::new().other_request("x", EARLIER, Phase::Pending).claimed(),
        None
    )]
    fn queue_orders_by_running_claim_age_and_name(
        #[case] state: StateBuilder,
        #[case] expected: Option<&str>,
    ) {
        let state = state.build();
        let blocking = blocking_request(&state).map(ResourceExt::name_any);
        assert_eq!(blocking.as_deref(), expected);
    }
}
