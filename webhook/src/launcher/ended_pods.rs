//! Deletes the pods of workers that have ended, once the volume claim that they mount is being deleted.
//!
//! Kubernetes keeps a claim as long as a pod names it, even one that has ended: the data of a deleted database would stay,
//! and the next one of its name would never start. Until then the pods stay, for their logs.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::core::PartialObjectMeta;
use kube::runtime::Controller;
use kube::runtime::controller::{self, Action};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use pgops_api::{Postgres, display_chain, names};
use pgops_kube::{NamespaceScope, watches};

use super::pods;
use super::writes::{self, Error};
use crate::cache::Caches;

/// Pause before the claim of a database that is being deleted, or no longer exists, is read again.
const RECHECK: Duration = Duration::from_secs(15);

pub struct Context {
    pub client: Client,
    pub caches: Arc<Caches>,
}

/// Follows the workers' pods of the scope.
pub async fn run(scope: &NamespaceScope, context: Context) {
    let client = &context.client;
    let workers = watches::config().labels(names::LABEL_REQUEST);
    let databases = scope.api::<PartialObjectMeta<Postgres>>(client);
    let controller = Controller::new(scope.api::<Pod>(client), workers);
    let all = controller.store();
    controller
        .with_config(controller::Config::default().concurrency(1))
        .watches(databases, watches::config(), move |database| of_database(&all.state(), &database))
        .run(reconcile, on_error, Arc::new(context))
        .for_each(|_| std::future::ready(()))
        .await;
}

/// The workers' pods of a database that has changed.
fn of_database(all: &[Arc<Pod>], database: &PartialObjectMeta<Postgres>) -> Vec<ObjectRef<Pod>> {
    let name = database.name_any();
    let is_of_database = |pod: &&Arc<Pod>| {
        pod.labels().get(names::LABEL_DATABASE).is_some_and(|label| label == names::label(&name))
            && pod.namespace() == database.namespace()
    };
    all.iter().filter(is_of_database).map(|pod| ObjectRef::from_obj(pod.as_ref())).collect()
}

/// Deletes the pod if it has ended, and holds a claim that is being deleted.
pub async fn reconcile(pod: Arc<Pod>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(name) = held_claim(&pod) else { return Ok(Action::await_change()) };
    let namespace = pod.namespace().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), &namespace);
    let Some(claim) = claims.get_metadata_opt(name).await.map_err(Error::Observe)? else {
        return Ok(Action::await_change());
    };
    if claim.metadata.deletion_timestamp.is_some() {
        writes::delete_pod(&context.client, &pod, None).await?;
        tracing::info!(
            namespace,
            pod = pod.name_any(),
            claim = name,
            "deleted a pod that had ended: its volume claim is being deleted"
        );
        return Ok(Action::await_change());
    }
    let database = names::parse_claim(name).map(|(database, _)| ObjectRef::new(database).within(&namespace));
    let database = database.and_then(|database| context.caches.database(&database));
    let exists = database.is_some_and(|database| database.metadata.deletion_timestamp.is_none());
    Ok(if exists { Action::await_change() } else { Action::requeue(RECHECK) })
}

/// The claim that keeps existing only because of this worker's pod, which has ended.
fn held_claim(pod: &Pod) -> Option<&str> {
    let has_ended = !pods::is_alive(pod) && pod.metadata.deletion_timestamp.is_none();
    if pods::job_of_worker(pod).is_none() || !has_ended {
        return None;
    }
    let mut volumes = pod.spec.as_ref()?.volumes.iter().flatten();
    volumes.find_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.as_str()))
}

// The signature is the controller's.
#[allow(clippy::needless_pass_by_value)]
fn on_error(pod: Arc<Pod>, error: &Error, _: Arc<Context>) -> Action {
    tracing::warn!(
        pod = %ObjectRef::from_obj(pod.as_ref()),
        error = display_chain(error),
        "failed to free the volume claim of a worker that has ended; retrying"
    );
    Action::requeue(RECHECK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{self, parse};
    use kube::runtime::watcher::Event;
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn worker(change: &Value) -> Pod {
        let mut pod = json!({
            "metadata": { "name": "a-pod", "namespace": "demo", "labels": { "pgops.dev/database": "orders" },
                "ownerReferences": [
                    { "apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": "a", "controller": true },
                ],
            },
            "spec": { "containers": [], "serviceAccountName": "pgops-worker-a", "volumes": [
                { "name": "auth", "secret": {} },
                { "name": "data", "persistentVolumeClaim": { "claimName": "data-orders-0" } },
            ]},
            "status": { "phase": "Succeeded" },
        });
        json_patch::merge(&mut pod, change);
        parse(pod)
    }

    /// Whether the pod exists after its reconciliation, and whether that is to be repeated.
    async fn is_kept(pod: &Pod, claim_is_deleted: bool, database_exists: bool) -> (bool, bool) {
        let server = FakeApiServer::new("demo");
        server.put(pod);
        server.put(&fixtures::claim());
        if claim_is_deleted {
            server.change::<PersistentVolumeClaim>("data-orders-0", |it| {
                it["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:15:00Z");
            });
        }
        let (caches, mut writers) = Caches::new();
        if database_exists {
            writers.databases.apply(Event::Apply(fixtures::database()));
        }
        let context = Context { client: server.client(), caches: Arc::new(caches) };
        let stored = server.get::<Pod>("a-pod").unwrap();
        let action = reconcile(Arc::new(stored), Arc::new(context)).await.unwrap();
        (server.get::<Pod>("a-pod").is_some(), action != Action::await_change())
    }

    #[rstest]
    #[case::ended(json!({}), false)]
    #[case::failed(json!({ "status": { "phase": "Failed" } }), false)]
    #[case::running(json!({ "status": { "phase": "Running" } }), true)]
    #[case::of_another_user(json!({ "spec": { "serviceAccountName": "default" } }), true)]
    #[case::without_job(json!({ "metadata": { "ownerReferences": null } }), true)]
    #[case::without_volume(json!({ "spec": { "volumes": null } }), true)]
    #[tokio::test]
    async fn worker_that_has_ended_does_not_hold_a_claim_that_is_being_deleted(
        #[case] change: Value,
        #[case] kept: bool,
    ) {
        assert_eq!(is_kept(&worker(&change), true, true).await.0, kept);
    }

    #[rstest]
    #[case::database_exists(true, false)]
    #[case::database_deleted(false, true)]
    #[tokio::test]
    async fn logs_of_a_worker_stay_as_long_as_the_claim(
        #[case] database_exists: bool,
        #[case] repeats: bool,
    ) {
        assert_eq!(is_kept(&worker(&json!({})), false, database_exists).await, (true, repeats));
    }

    #[test]
    fn changed_database_triggers_its_own_pods() {
        let mut database = serde_json::to_value(fixtures::database()).unwrap();
        database.as_object_mut().unwrap().retain(|key, _| key == "metadata");
        let all = [Arc::new(worker(&json!({})))];
        assert_eq!(of_database(&all, &parse(database.clone())).len(), 1);
        database["metadata"]["namespace"] = json!("elsewhere");
        assert_eq!(of_database(&all, &parse(database)).len(), 0);
    }
}
