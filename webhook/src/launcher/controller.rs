//! The controller: reconciles each request when it, or an object around it, changes.

use std::sync::Arc;
use std::time::Duration;

use futures::future::select_all;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::events::Recorder;
use kube::runtime::reflector::ObjectRef;
use pgops_api::{Postgres, display_chain, names};
use pgops_kube::{NamespaceScope, watches};

use super::apply::Reconciler;
use super::decide::next_action;
use super::observe::{Observation, observe};
use super::options::Options;
use super::state::{State, has_finalizer};
use super::triggers::{GuardedRequest, map_database, map_pod, map_request};
use super::writes::Error;
use super::{abandoned_jobs, ended_pods, progress};
use crate::cache::Caches;
use crate::cache::Unreadable;
use crate::metrics::Metrics;

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
    pub metrics: Metrics,
}

/// Reconciles every request, as long as it is polled: by one controller for each namespace that is watched by itself.
pub async fn run(
    client: Client,
    options: &Options,
    caches: &Arc<Caches>,
    recorder: &Recorder,
    metrics: &Metrics,
) {
    // Without the catalog every request would be denied.
    if caches.wait_until_ready().await.is_err() {
        return;
    }
    let controllers = options.watched.scopes().into_iter().flat_map(|scope| {
        let pods = ended_pods::Context { client: client.clone(), caches: caches.clone() };
        let context = Context {
            reconciler: Reconciler {
                client: client.clone(),
                recorder: recorder.clone(),
                worker: options.worker.clone(),
            },
            caches: caches.clone(),
            unreadable: Unreadable::default(),
            metrics: metrics.clone(),
        };
        let (client, other) = (client.clone(), scope.clone());
        let cleanup = async move {
            tokio::join!(ended_pods::run(&other, pods), abandoned_jobs::run(&other, client));
        };
        [run_in(scope, context).boxed(), cleanup.boxed()]
    });
    // None of them ends by itself.
    select_all(controllers).await;
}

/// Reconciles every request of the scope.
///
/// One at a time is fast enough, and keeps the log in order.
async fn run_in(scope: NamespaceScope, context: Context) {
    let client = context.reconciler.client.clone();
    let requests = || scope.api::<GuardedRequest>(&client);
    let databases = scope.api::<PartialObjectMeta<Postgres>>(&client);
    let workers = || watches::config().labels(names::LABEL_REQUEST);
    let controller = Controller::new(requests(), watches::config());
    let all_requests = controller.store();
    let requests_of_database = controller.store();
    controller
        .with_config(controller::Config::default().concurrency(1))
        .owns(scope.api::<Job>(&client), workers())
        .watches(scope.api::<Pod>(&client), workers(), |pod| map_pod(&pod))
        .watches(requests(), watches::config(), move |changed| map_request(&all_requests.state(), &changed))
        .watches(databases, watches::config(), move |changed| {
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

/// Observes everything around one request, decides on the next action and applies it.
pub async fn reconcile(seen: Arc<GuardedRequest>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(seen) = context.unreadable.read(&seen) else { return Ok(Action::await_change()) };
    // Most requests have ended and are not touched again.
    if seen.phase().is_terminal() && !has_finalizer(seen) && !seen.wants_resume() {
        return Ok(Action::await_change());
    }
    let reconciliation = Box::pin(async {
        let Context { reconciler, caches, unreadable, metrics } = context.as_ref();
        let client = &reconciler.client;
        let (catalog, executed, standbys) = (caches.catalog(), caches.executed(), caches.standbys());
        let observation = observe(client, catalog, executed, standbys, unreadable, seen).await;
        match observation.map_err(Error::Observe)? {
            // KubeDB's operators execute it. That may have changed since: what has begun is completed, or ended.
            Observation::State(state) if !has_finalizer(seen) && is_of_others(caches, &state) => {
                Ok(Action::await_change())
            }
            Observation::State(state) => {
                if let Some(progress) = progress::of(&state) {
                    metrics.observe_request(progress);
                }
                let action = next_action(&state);
                let next = reconciler.apply(&state, &action).await?;
                if let Some(end) = progress::end(&state, &action) {
                    metrics.count_end(end);
                }
                Ok(next)
            }
            Observation::Changed => Ok(Action::requeue(AFTER_CONFLICT)),
            Observation::Deleted => Ok(Action::await_change()),
        }
    });
    tokio::time::timeout(TIMEOUT, reconciliation).await.unwrap_or(Err(Error::Timeout(TIMEOUT)))
}

/// Whether pgops does not execute the request, or does not manage its database.
fn is_of_others(caches: &Caches, state: &State) -> bool {
    let is_managed = |database: &Postgres| caches.manages(database.metadata.labels.as_ref());
    !caches.executes(state.request.spec.type_) || !state.database.as_ref().is_none_or(is_managed)
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
