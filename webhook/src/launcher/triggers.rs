//! Which requests to reconcile when an object around them changes.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::reflector::ObjectRef;
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest, names};

/// A request that may not be parseable: one that is not must not hide the others.
pub type GuardedRequest = DeserializeGuard<PostgresOpsRequest>;

/// Begin of the first step's text, as in `1/14 CopyOldBinaries`.
const FIRST_STEP: &str = "1/";

/// The request that a worker's pod belongs to. A label value would be too short for some names.
pub fn map_pod(pod: &Pod) -> Option<ObjectRef<GuardedRequest>> {
    let name = pod.annotations().get(names::LABEL_REQUEST)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

/// The requests that may be waiting for the change of another request: its start, its end or its deletion.
/// Its steps in between do not affect them. The first one does: its worker may be the first to report that it has started.
pub fn map_request(all: &[Arc<GuardedRequest>], changed: &GuardedRequest) -> Vec<ObjectRef<GuardedRequest>> {
    let Ok(request) = &changed.0 else { return Vec::new() };
    let step = request.status.as_ref().and_then(|status| status.step.as_deref());
    let is_between_steps = step.is_some_and(|step| !step.starts_with(FIRST_STEP))
        && request.phase() == Phase::Progressing
        && request.metadata.deletion_timestamp.is_none();
    if is_between_steps {
        return Vec::new();
    }
    let mut waiting = waiting_for(all, request.namespace().as_deref(), &request.spec.database_ref.name);
    waiting.retain(|other| other.name != request.name_any());
    waiting
}

/// The requests that may be waiting for the change of their database.
pub fn map_database(
    all: &[Arc<GuardedRequest>],
    database: &PartialObjectMeta<Postgres>,
) -> Vec<ObjectRef<GuardedRequest>> {
    waiting_for(all, database.namespace().as_deref(), &database.name_any())
}

/// The requests for a database that have not started.
fn waiting_for(
    all: &[Arc<GuardedRequest>],
    namespace: Option<&str>,
    database: &str,
) -> Vec<ObjectRef<GuardedRequest>> {
    let is_waiting = |request: &PostgresOpsRequest| {
        request.is_active()
            && request.phase() != Phase::Progressing
            && request.spec.database_ref.name == database
            && request.metadata.namespace.as_deref() == namespace
    };
    all.iter()
        .filter(|request| request.0.as_ref().is_ok_and(is_waiting))
        .map(|request| ObjectRef::from_obj(request.as_ref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{self, parse, request};
    use rstest::rstest;
    use serde_json::{Value, json};

    fn stored(name: &str, database: &str, status: Value) -> Arc<GuardedRequest> {
        let mut value = serde_json::to_value(request(name)).unwrap();
        value["spec"]["databaseRef"]["name"] = json!(database);
        value["status"] = status;
        Arc::new(parse(value))
    }

    fn all() -> Vec<Arc<GuardedRequest>> {
        let mut newer = serde_json::to_value(request("newer")).unwrap();
        newer["spec"]["type"] = json!("Teleport");
        vec![
            stored("pending", "orders", json!({ "phase": "Pending" })),
            stored("new", "orders", Value::Null),
            stored("running", "orders", json!({ "phase": "Progressing" })),
            stored("ended", "orders", json!({ "phase": "Denied" })),
            stored("other", "billing", json!({ "phase": "Pending" })),
            Arc::new(parse(newer)),
        ]
    }

    fn names(mapped: Vec<ObjectRef<GuardedRequest>>) -> Vec<String> {
        mapped.into_iter().map(|request| request.name).collect()
    }

    #[rstest]
    #[case::ended(json!({ "phase": "Failed", "step": "2/14 Preflight" }), true)]
    #[case::started(json!({ "phase": "Progressing" }), true)]
    #[case::at_its_first_step(json!({ "phase": "Progressing", "step": "1/14 CopyOldBinaries" }), true)]
    #[case::at_a_step(json!({ "phase": "Progressing", "step": "2/14 Preflight" }), false)]
    fn start_or_end_of_a_request_triggers_those_that_wait(#[case] status: Value, #[case] triggers: bool) {
        let mapped = names(map_request(&all(), &stored("running", "orders", status)));
        assert_eq!(mapped, if triggers { vec!["pending", "new"] } else { Vec::new() });
    }

    #[test]
    fn deleted_request_triggers_the_others_and_not_itself() {
        let deleted = stored("pending", "orders", json!({ "phase": "Pending" }));
        assert_eq!(names(map_request(&all(), &deleted)), ["new"]);
    }

    #[test]
    fn changed_database_triggers_its_own_requests() {
        let mut database = serde_json::to_value(fixtures::database()).unwrap();
        // As in a list: its items have no kind.
        database.as_object_mut().unwrap().retain(|key, _| key == "metadata" || key == "spec");
        assert_eq!(names(map_database(&all(), &parse(database.clone()))), ["pending", "new"]);
        database["metadata"]["namespace"] = json!("elsewhere");
        assert_eq!(names(map_database(&all(), &parse(database))), [""; 0]);
    }
}
