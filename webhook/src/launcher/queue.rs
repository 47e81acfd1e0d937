//! The queue of requests for one database: whose turn it is.
//!
//! The claim guarantees that one request at a time changes the database; the queue only decides which one
//! is next.

use std::sync::Arc;

use kube::ResourceExt;
use pgops_api::opsrequest::{CONDITION_SUCCESSFUL, Phase};
use pgops_api::plan::Scope;
use pgops_api::{PostgresOpsRequest, condition};

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

/// Name of the latest other request that has brought the database to this request's target since this one was created.
pub fn fulfilled_by<'a>(
    request: &PostgresOpsRequest,
    all: impl Iterator<Item = &'a PostgresOpsRequest>,
) -> Option<String> {
    let created = request.creation_timestamp()?;
    let ended = |other: &PostgresOpsRequest| {
        let conditions = &other.status.as_ref()?.conditions;
        condition::find(conditions, CONDITION_SUCCESSFUL).map(|done| done.last_transition_time.clone())
    };
    let fulfils = |other: &&PostgresOpsRequest| {
        other.uid() != request.uid()
            && other.updates_version()
            && other.phase() == Phase::Successful
            && other.scope() == Scope::Upgrade
            && other.spec.database_ref == request.spec.database_ref
            && other.target() == request.target()
            && ended(other).is_some_and(|ended| ended > created)
    };
    all.filter(fulfils).max_by_key(|other| ended(other)).map(ResourceExt::name_any)
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
    use crate::launcher::fixtures::{StateBuilder, parse, request};
    use rstest::rstest;
    use serde_json::{Value, json};

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

    // The request is orders-17, created at 00:01:40, to 17.11.
    #[rstest]
    #[case::ended_since(json!({}), true)]
    #[case::ended_before(json!({ "status": { "conditions": [done("1970-01-01T00:01:00Z")] } }), false)]
    #[case::another_target(json!({ "spec": { "updateVersion": { "targetVersion": "13.23" } } }), false)]
    #[case::another_database(json!({ "spec": { "databaseRef": { "name": "billing" } } }), false)]
    #[case::failed(json!({ "status": { "phase": "Failed" } }), false)]
    #[case::dry_run(json!({ "status": { "conditions": [done(LATER), dry_run()] } }), false)]
    fn request_is_fulfilled_by_another_upgrade_to_its_target(#[case] change: Value, #[case] fulfils: bool) {
        let mut other = serde_json::to_value(request("first")).unwrap();
        other["metadata"]["uid"] = json!("first");
        other["status"] = json!({ "phase": "Successful", "conditions": [done(LATER)] });
        json_patch::merge(&mut other, &change);
        let own = request("orders-17");
        let found = fulfilled_by(&own, [&own, &parse(other)].into_iter());
        assert_eq!(found.as_deref(), fulfils.then_some("first"));
    }

    fn done(time: &str) -> Value {
        json!({ "type": "Successful", "status": "True", "lastTransitionTime": time })
    }

    fn dry_run() -> Value {
        json!({ "type": "DryRun", "status": "True", "lastTransitionTime": EARLIER })
    }
}
