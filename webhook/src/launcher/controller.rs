//! What wakes the launcher up, and one pass over a request.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::{PostgresOpsRequest, PostgresVersion, chain, names};

use super::Images;
use super::act::{self, Error, Hands};
use super::next::next;
use super::world::{World, has_finalizer};

/// Longest time of one pass. The API server answers in milliseconds, or something is wrong.
const PASS: Duration = Duration::from_secs(30);
/// Pause after a pass whose observations were out of date.
const AFTER_CONFLICT: Duration = Duration::from_millis(500);
/// Pause after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

struct Context {
    hands: Hands,
    versions: Store<PostgresVersion>,
}

/// Acts on every request, as long as it is polled.
///
/// One pass at a time: two requests on the same database must not both see that nobody is at work.
pub async fn run(client: Client, images: Images, versions: Store<PostgresVersion>, recorder: Recorder) {
    // Without the catalog every request would be refused.
    if versions.wait_until_ready().await.is_err() {
        return;
    }
    let requests: Api<PostgresOpsRequest> = Api::all(client.clone());
    let workers = || watcher::Config::default().labels(names::LABEL_REQUEST);
    let context = Context { hands: Hands { client: client.clone(), recorder, images }, versions };
    Controller::new(requests, watcher::Config::default())
        .with_config(controller::Config::default().concurrency(1))
        .owns(Api::<Job>::all(client.clone()), workers())
        .watches(Api::<Pod>::all(client), workers(), |pod| request_of(&pod))
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
fn request_of(pod: &Pod) -> Option<ObjectRef<PostgresOpsRequest>> {
    let name = pod.annotations().get(names::LABEL_REQUEST)?;
    Some(ObjectRef::new(name).within(&pod.namespace()?))
}

async fn pass(seen: Arc<PostgresOpsRequest>, context: Arc<Context>) -> Result<Action, Error> {
    // Requests that are over for good are most of all requests.
    if seen.phase().is_terminal() && !has_finalizer(&seen) {
        return Ok(Action::await_change());
    }
    let whole = Box::pin(async {
        let client = &context.hands.client;
        let world = World::observe(client, &context.versions, &seen).await.map_err(Error::Observe)?;
        match world {
            Some(world) => context.hands.perform(&world, next(&world)).await,
            None => Ok(Action::await_change()),
        }
    });
    tokio::time::timeout(PASS, whole).await.unwrap_or(Err(Error::Timeout(PASS)))
}

// The signature is the controller's.
#[allow(clippy::needless_pass_by_value)]
fn on_error(request: Arc<PostgresOpsRequest>, error: &Error, _: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    tracing::warn!(
        request = %act::name(&request),
        database = request.spec.database_ref.name,
        kind = %PostgresOpsRequest::kind(&()),
        error = chain(error),
        "a pass failed; tries again"
    );
    Action::requeue(AFTER_FAILURE)
}
