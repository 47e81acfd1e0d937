//! What wakes the launcher up, and one pass over a request.

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

use super::Images;
use super::act::{Error, Hands};
use super::next::next;
use super::world::{Sight, World, has_finalizer};
use crate::cache::Caches;
use crate::cache::Unreadable;

/// Longest time of one pass. The API server answers in milliseconds, or something is wrong.
const PASS: Duration = Duration::from_secs(30);
/// Pause after a pass whose observations were out of date.
const AFTER_CONFLICT: Duration = Duration::from_millis(500);
/// Pause after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// What every pass needs.
pub struct Context {
    pub hands: Hands,
    pub caches: Arc<Caches>,
    pub unreadable: Unreadable,
}

/// A request as it comes over the wire: one that cannot be read must not hide the others.
type Wire = DeserializeGuard<PostgresOpsRequest>;

/// Acts on every request, as long as it is polled.
///
/// One pass at a time is enough, and keeps the log in order.
pub async fn run(client: Client, images: Images, caches: Arc<Caches>, recorder: Recorder) {
    // Without the catalog every request would be refused.
    if caches.wait_until_ready().await.is_err() {
        return;
    }
    let requests = || Api::<Wire>::all(client.clone());
    let databases = Api::<PartialObjectMeta<Postgres>>::all(client.clone());
    let workers = || watcher::Config::default().labels(names::LABEL_REQUEST);
    let context = Context {
        hands: Hands { client: client.clone(), recorder, images },
        caches,
        unreadable: Unreadable::default(),
    };
    let controller = Controller::new(requests(), watcher::Config::default());
    let (beside, of) = (controller.store(), controller.store());
    controller
        .with_config(controller::Config::default().concurrency(1))
        .owns(Api::<Job>::all(client.clone()), workers())
        .watches(Api::<Pod>::all(client.clone()), workers(), |pod| request_of(&pod))
        .watches(requests(), watcher::Config::default(), move |changed| wakes(&beside.state(), &changed))
        .watches(databases, watcher::Config::default(), move |changed| waiting(&of.state(), &changed))
        .run(pass, on_error, Arc::new(context))
        .for_each(|ended| async move {
            // The errors of a pass are told in `on_error`; these are the watches'.
            if let Err(controller::Error::QueueError(error)) = ended {
                tracing::warn!(%error, "failed to watch; tries again");
            }
        })
        .await;
}

/// The request that a worker's pod belongs to. The label would not hold every name.
fn request_of(pod: &Pod) -> Option<ObjectRef<Wire>> {
    let name = pod.annotations().get(names::LABEL_REQUEST)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

/// The requests that may have waited for what has just changed: for another one to begin, to end or to
/// be deleted. The steps in between concern nobody else.
fn wakes(all: &[Arc<Wire>], changed: &Wire) -> Vec<ObjectRef<Wire>> {
    let Ok(request) = &changed.0 else { return Vec::new() };
    let at_work = request.status.as_ref().is_some_and(|status| status.step.is_some())
        && request.phase() == Phase::Progressing
        && request.metadata.deletion_timestamp.is_none();
    if at_work {
        return Vec::new();
    }
    let mut woken = of_database(all, request.namespace().as_deref(), &request.spec.database_ref.name);
    woken.retain(|other| other.name != request.name_any());
    woken
}

/// The requests that may have waited for something about the database.
fn waiting(all: &[Arc<Wire>], database: &PartialObjectMeta<Postgres>) -> Vec<ObjectRef<Wire>> {
    of_database(all, database.namespace().as_deref(), &database.name_any())
}

/// The requests for a database that have not begun.
fn of_database(all: &[Arc<Wire>], namespace: Option<&str>, database: &str) -> Vec<ObjectRef<Wire>> {
    let waits = |request: &PostgresOpsRequest| {
        request.is_active()
            && request.phase() != Phase::Progressing
            && request.spec.database_ref.name == database
            && request.metadata.namespace.as_deref() == namespace
    };
    let waits = |wire: &&Arc<Wire>| wire.0.as_ref().is_ok_and(waits);
    all.iter().filter(waits).map(|wire| ObjectRef::from_obj(wire.as_ref())).collect()
}

/// Looks around one request, and does what comes next.
pub async fn pass(seen: Arc<Wire>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = context.unreadable.read(&seen) else { return Ok(Action::await_change()) };
    // Requests that are over for good are most of all requests.
    if seen.phase().is_terminal() && !has_finalizer(seen) && !seen.wants_resume() {
        return Ok(Action::await_change());
    }
    let whole = Box::pin(async {
        let Context { hands, caches, unreadable } = context.as_ref();
        let catalog = caches.catalog();
        let world = World::observe(&hands.client, catalog, unreadable, seen).await.map_err(Error::Observe)?;
        match world {
            Sight::World(world) => hands.perform(&world, next(&world)).await,
            Sight::Changed => Ok(Action::requeue(AFTER_CONFLICT)),
            Sight::Gone => Ok(Action::await_change()),
        }
    });
    tokio::time::timeout(PASS, whole).await.unwrap_or(Err(Error::Timeout(PASS)))
}

// The signature is the controller's.
#[allow(clippy::needless_pass_by_value)]
fn on_error(request: Arc<Wire>, error: &Error, _: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    tracing::warn!(
        request = %ObjectRef::from_obj(request.as_ref()),
        database = request.0.as_ref().ok().map(|request| request.spec.database_ref.name.as_str()),
        error = display_chain(error),
        "a pass failed; tries again"
    );
    Action::requeue(AFTER_FAILURE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{self, parse, request};
    use rstest::rstest;
    use serde_json::{Value, json};

    fn wire(name: &str, database: &str, status: Value) -> Arc<Wire> {
        let mut value = serde_json::to_value(request(name)).unwrap();
        value["spec"]["databaseRef"]["name"] = json!(database);
        value["status"] = status;
        Arc::new(parse(value))
    }

    fn all() -> Vec<Arc<Wire>> {
        let mut newer = serde_json::to_value(request("newer")).unwrap();
        newer["spec"]["type"] = json!("Teleport");
        vec![
            wire("waits", "orders", json!({ "phase": "Pending" })),
            wire("new", "orders", Value::Null),
            wire("works", "orders", json!({ "phase": "Progressing" })),
            wire("over", "orders", json!({ "phase": "Denied" })),
            wire("beside", "billing", json!({ "phase": "Pending" })),
            Arc::new(parse(newer)),
        ]
    }

    fn names(woken: Vec<ObjectRef<Wire>>) -> Vec<String> {
        woken.into_iter().map(|woken| woken.name).collect()
    }

    #[rstest]
    #[case::ended(json!({ "phase": "Failed", "step": "2/14 Preflight" }), true)]
    #[case::begun(json!({ "phase": "Progressing" }), true)]
    #[case::at_a_step(json!({ "phase": "Progressing", "step": "2/14 Preflight" }), false)]
    fn a_request_that_begins_or_ends_wakes_those_that_wait(#[case] status: Value, #[case] wakes_them: bool) {
        let woken = names(wakes(&all(), &wire("works", "orders", status)));
        assert_eq!(woken, if wakes_them { vec!["waits", "new"] } else { Vec::new() });
    }

    #[test]
    fn a_request_that_is_deleted_wakes_the_others_and_not_itself() {
        let gone = wire("waits", "orders", json!({ "phase": "Pending" }));
        assert_eq!(names(wakes(&all(), &gone)), ["new"]);
    }

    #[test]
    fn a_database_that_changes_wakes_its_own_requests() {
        let mut database = serde_json::to_value(fixtures::database()).unwrap();
        // As in a list: the items do not repeat what they are.
        database.as_object_mut().unwrap().retain(|key, _| key == "metadata" || key == "spec");
        assert_eq!(names(waiting(&all(), &parse(database.clone()))), ["waits", "new"]);
        database["metadata"]["namespace"] = json!("elsewhere");
        assert_eq!(names(waiting(&all(), &parse(database))), [""; 0]);
    }
}
