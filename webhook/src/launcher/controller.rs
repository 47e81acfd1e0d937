//! Which changes trigger a reconciliation, and the reconciliation of one request.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest, display_chain, names};

use super::apply::Reconciler;
use super::decide::next_action;
use super::observe::{Observation, observe};
use super::options::Images;
use super::state::has_finalizer;
use super::writes::Error;
use crate::caches::Caches;
use crate::unreadable::Unreadable;

/// Time limit of one reconciliation. The API server answers in milliseconds, or something is wrong.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a reconciliation whose observations were out of date.
const AFTER_CONFLICT: Duration = Duration::from_millis(500);
/// Pause after a reconciliation that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What every reconciliation needs.
pub struct Context {
    pub reconciler: Reconciler,
    pub caches: Arc<Caches>,
    pub unreadable: Unreadable,
}

/// A request that may not be parseable: one that is not must not hide the others.
type GuardedRequest = DeserializeGuard<PostgresOpsRequest>;

/// Reconciles every request, as long as it is polled.
///
/// One at a time is fast enough, and keeps the log in order.
pub async fn run(client: Client, images: Images, caches: Arc<Caches>, recorder: Recorder) {
    // Without the catalog every request would be denied.
    if caches.wait_until_ready().await.is_err() {
        return;
    }
    let requests = || Api::<GuardedRequest>::all(client.clone());
    let databases = Api::<PartialObjectMeta<Postgres>>::all(client.clone());
    let workers = || watcher::Config::default().labels(names::LABEL_REQUEST);
    let context = Context {
        reconciler: Reconciler { client: client.clone(), recorder, images },
        caches,
        unreadable: Unreadable::default(),
    };
    let controller = Controller::new(requests(), watcher::Config::default());
    let all_requests = controller.store();
    let requests_of_database = controller.store();
    controller
        .with_config(controller::Config::default().concurrency(1))
        .owns(Api::<Job>::all(client.clone()), workers())
        .watches(Api::<Pod>::all(client.clone()), workers(), |pod| map_pod(&pod))
        .watches(requests(), watcher::Config::default(), move |changed| {
            map_request(&all_requests.state(), &changed)
        })
        .watches(databases, watcher::Config::default(), move |changed| {
            map_database(&requests_of_database.state(), &changed)
        })
        .run(reconcile, on_error, Arc::new(context))
        .for_each(|result| async move {
            // `on_error` logs the errors of reconciliations; these are the watches'.
            if let Err(controller::Error::QueueError(error)) = result {
                tracing::warn!(%error, "watch failed; retrying");
            }
        })
        .await;
}

/// The request that a worker's pod belongs to. A label value would be too short for some names.
fn map_pod(pod: &Pod) -> Option<ObjectRef<GuardedRequest>> {
    let name = pod.annotations().get(names::LABEL_REQUEST)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

/// The requests that may be waiting for the change of another request: its start, its end or its deletion.
/// Its steps in between do not affect them.
fn map_request(all: &[Arc<GuardedRequest>], changed: &GuardedRequest) -> Vec<ObjectRef<GuardedRequest>> {
    let Ok(request) = &changed.0 else { return Vec::new() };
    let is_between_steps = request.status.as_ref().is_some_and(|status| status.step.is_some())
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
fn map_database(
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

/// Observes everything around one request, decides on the next action and applies it.
pub async fn reconcile(seen: Arc<GuardedRequest>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = context.unreadable.read(&seen) else { return Ok(Action::await_change()) };
    // Most requests have ended and are not touched again.
    if seen.phase().is_terminal() && !has_finalizer(seen) && !seen.wants_resume() {
        return Ok(Action::await_change());
    }
    let reconciliation = Box::pin(async {
        let Context { reconciler, caches, unreadable } = context.as_ref();
        let observation = observe(&reconciler.client, caches.catalog(), unreadable, seen).await;
        match observation.map_err(Error::Observe)? {
            Observation::State(state) => reconciler.apply(&state, &next_action(&state)).await,
            Observation::Changed => Ok(Action::requeue(AFTER_CONFLICT)),
            Observation::Deleted => Ok(Action::await_change()),
        }
    });
    tokio::time::timeout(TIMEOUT, reconciliation).await.unwrap_or(Err(Error::Timeout(TIMEOUT)))
}

// The signature is the controller's.
#[allow(clippy::needless_pass_by_value)]
fn on_error(request: Arc<GuardedRequest>, error: &Error, _: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    tracing::warn!(
        request = %ObjectRef::from_obj(request.as_ref()),
        database = request.0.as_ref().ok().map(|request| request.spec.database_ref.name.as_str()),
        error = display_chain(error),
        "reconciliation failed; retrying"
    );
    Action::requeue(AFTER_FAILURE)
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
