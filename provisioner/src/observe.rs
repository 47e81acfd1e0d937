//! Reads what the status of a database says about its pod, its volume claim and its Secret. A read that fails leaves what
//! the status said before: it is not worth a database that is not built.

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use pgops_api::{Owner, Postgres, names};
use pgops_kube::observed::ready;
use pgops_kube::pod_problem::{creation_problem, start_problem};
use pgops_kube::{ApiError, lost_pod};

use crate::certificates;
use crate::context::Context;
use crate::design::has_standbys;
use crate::expand::expand;
use crate::instance;
use crate::member_pods::member_pods;
use crate::members::members;
use crate::observation::{Observation, PodLookup, Restart, ServerContainer, ServerPod, ServerReport};
use crate::unready::Unready;
use crate::volume_risk::volume_risk;
use crate::{restart, secret};

/// Observes a database with the workload of its own, if that exists, and expands its volume claim if that is requested.
pub async fn observe(context: &Context, database: &Postgres, workload: Option<&StatefulSet>) -> Observation {
    let mut observation = Observation {
        auth_secret: secret::look_up(&context.client, database).await,
        expansion: told(database, expand(context, database).await).flatten(),
        certificates: told(database, certificates::reconcile(&context.client, database).await).flatten(),
        ..Observation::default()
    };
    let Some(workload) = workload else { return observation };
    if has_standbys(workload) {
        observation.members =
            told(database, member_pods(context, database, workload).await).map(|pods| members(&pods));
    }
    let Some(pod) = told(database, pod(context, database, workload).await) else { return observation };
    let Some(pod) = pod else {
        observation.server_pod = PodLookup::Missing;
        observation.restart = Restart::NotNeeded;
        observation.unready = told(database, refused_pod(context, database, workload).await).flatten();
        return observation;
    };
    let risk = told(database, volume_risk(context, database, workload).await);
    observation.volume = risk.map(Into::into).unwrap_or_default();
    observation.restart =
        told(database, outdated(context, database, workload, &pod).await).unwrap_or_default();
    observation.pod = Some(pod.name_any());
    observation.server_pod = PodLookup::Found(server_pod(workload, &pod, &observation.restart));
    observation.instance = instance::ask(&pod).await.map(ServerReport::from);
    if ready(&pod).is_none() {
        let events = told(database, events(context, database, &pod.metadata).await).unwrap_or_default();
        let reason = observation.instance.as_ref().and_then(|instance| instance.unready_reason.as_deref());
        observation.unready = lost_pod(&pod, Timestamp::now())
            .map(Unready::from)
            .or_else(|| Unready::held(&pod))
            .or_else(|| start_problem(&pod, &events).map(Unready::from))
            .or_else(|| reason.map(Unready::instance));
    } else if database.replicas() == 1 {
        observation.unready = Unready::not_selected(&pod);
    }
    for pending in observation.instance.iter().flat_map(ServerReport::pending_settings) {
        observation.restart.add(&pending);
    }
    observation
}

/// The result of a read, or none if it failed, which is logged.
fn told<T>(database: &Postgres, result: Result<T, ApiError>) -> Option<T> {
    result
        .inspect_err(|error| {
            let namespace = database.namespace().unwrap_or_default();
            tracing::warn!(namespace, database = database.name_any(), cause = error.cause(), "{error}");
        })
        .ok()
}

fn api<K>(context: &Context, database: &Postgres) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default())
}

/// The first pod, unless another owner's pod has its name.
pub async fn pod(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Option<Pod>, ApiError> {
    let name = names::pod(&database.name_any(), 0);
    let pods: Api<Pod> = api(context, database);
    let pod = pods.get_opt(&name).await.map_err(ApiError::on::<Pod>("read", name))?;
    Ok(pod.filter(|pod| Owner::of(workload).owns(&pod.metadata)))
}

/// Why the StatefulSet's controller cannot create the pod, if it should exist.
async fn refused_pod(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Option<Unready>, ApiError> {
    if workload.spec.as_ref().and_then(|spec| spec.replicas) == Some(0) {
        return Ok(None);
    }
    let events = events(context, database, &workload.metadata).await?;
    let controller = format!("StatefulSet {}", workload.name_any());
    Ok(creation_problem(&controller, &events, None).map(Unready::from))
}

/// The Events about an object.
pub async fn events(
    context: &Context,
    database: &Postgres,
    about: &ObjectMeta,
) -> Result<Vec<Event>, ApiError> {
    let Some(uid) = &about.uid else { return Ok(Vec::new()) };
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    let name = about.name.as_deref().unwrap_or_default();
    let found = api::<Event>(context, database).list(&params).await;
    Ok(found.map_err(ApiError::on::<Event>("list", name))?.items)
}

async fn outdated(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
    pod: &Pod,
) -> Result<Restart, ApiError> {
    let Some(outdated) = restart::outdated(workload, pod) else { return Ok(Restart::NotNeeded) };
    let revisions: Api<ControllerRevision> = api(context, database);
    let read = async |name: &str| {
        let found =
            revisions.get_opt(name).await.map_err(ApiError::on::<ControllerRevision>("read", name))?;
        Ok::<_, ApiError>(found.filter(|found| Owner::of(workload).owns(&found.metadata)))
    };
    let (current, wanted) = (read(&outdated.current).await?, read(&outdated.wanted).await?);
    Ok(restart::pending(current.as_ref(), wanted.as_ref()))
}

fn server_pod(workload: &StatefulSet, pod: &Pod, changes: &Restart) -> ServerPod {
    let ready = ready(pod);
    ServerPod {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        resource_version: pod.resource_version(),
        created: pod.creation_timestamp().map(|time| time.0),
        // The time is missing only in what a very old kubelet has written.
        ready_since: ready
            .map(|ready| ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |it| it.0)),
        is_being_deleted: pod.metadata.deletion_timestamp.is_some(),
        is_outdated: match changes {
            Restart::Pending(_) => true,
            Restart::NotNeeded => false,
            // The revisions could not be read.
            Restart::Unknown => restart::outdated(workload, pod).is_some(),
        },
        is_superseded: pod.metadata.deletion_timestamp.is_none()
            && pod.spec.as_ref().is_none_or(|spec| spec.node_name.is_none())
            && restart::outdated(workload, pod).is_some(),
        container: ServerContainer::of(pod),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, database, version, workload};
    use crate::observation::AuthSecret;
    use crate::volume_risk::VolumeLookup;
    use k8s_openapi::api::core::v1::Secret;
    use pgops_kube::node_affinity;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::{Value, json};

    fn parse<K: serde::de::DeserializeOwned>(object: Value) -> K {
        serde_json::from_value(object).unwrap()
    }

    /// A StatefulSet whose pod should exist.
    fn running() -> StatefulSet {
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.uid = Some("w".to_owned());
        workload
    }

    #[tokio::test]
    async fn refused_pod_and_missing_secret_are_observed() {
        let server = FakeApiServer::new("demo");
        server.put(&parse::<Event>(json!({
            "metadata": { "name": "e" }, "involvedObject": { "uid": "w" }, "reason": "FailedCreate",
            "message": "exceeded quota", "lastTimestamp": "2026-11-20T10:00:00Z",
        })));
        let context = fixtures::context(&server);
        let observed = observe(&context, &database(json!({})), Some(&running())).await;
        assert_eq!(observed.unready.unwrap().reason, "PodRefused");
        assert_eq!((observed.pod, observed.restart), (None, Restart::NotNeeded));
        assert_eq!(observed.auth_secret, AuthSecret::Missing);
        let mut stopped = running();
        stopped.spec.as_mut().unwrap().replicas = Some(0);
        assert_eq!(observe(&context, &database(json!({})), Some(&stopped)).await.unready, None);
        assert_eq!(server.all::<Secret>(), []);
    }

    #[tokio::test]
    async fn outdated_pod_is_observed_with_the_changed_fields_and_a_foreign_one_is_not() {
        let server = FakeApiServer::new("demo");
        let owners =
            json!([{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" }]);
        let mut pod = json!({ "metadata": {
            "name": "orders-0", "uid": "p", "ownerReferences": owners, "labels": { "controller-revision-hash": "orders-a" },
        } });
        let revision = |name: &str, spec: Value| {
            parse::<ControllerRevision>(json!({
                "metadata": { "name": name, "ownerReferences": owners }, "revision": 1,
                "data": { "spec": { "template": { "spec": spec } } },
            }))
        };
        server.put(&revision("orders-a", json!({ "priorityClassName": "low" })));
        server.put(&revision("orders-b", json!({ "priorityClassName": "high" })));
        server.put(&parse::<Pod>(pod.clone()));
        let mut workload = running();
        workload.status = parse(json!({ "replicas": 1, "updateRevision": "orders-b" }));
        let context = fixtures::context(&server);
        let observed = observe(&context, &database(json!({})), Some(&workload)).await;
        assert_eq!(observed.restart, Restart::Pending(vec!["priorityClassName".to_owned()]));
        assert_eq!(observed.pod.as_deref(), Some("orders-0"));
        assert!(matches!(observed.volume, VolumeLookup::AtRisk(_)), "there is no claim");
        let is_outdated = |observed: &Observation| match &observed.server_pod {
            PodLookup::Found(pod) => pod.is_outdated,
            PodLookup::Missing | PodLookup::Unknown => panic!("no pod"),
        };
        assert!(is_outdated(&observed));
        let is_superseded = |observed: &Observation| matches!(&observed.server_pod, PodLookup::Found(pod) if pod.is_superseded);
        assert!(is_superseded(&observed));

        // An upgrade has required a node for it: no operation needs another pod for that.
        let node = node_affinity::with_required_node(None, Some("node-1"));
        server.put(&revision("orders-a", json!({ "priorityClassName": "high", "affinity": node })));
        let observed = observe(&context, &database(json!({})), Some(&workload)).await;
        assert_eq!(observed.restart, Restart::NotNeeded);
        assert!(!is_outdated(&observed));
        assert!(is_superseded(&observed), "it would wait for that node for ever");
        pod["spec"] = json!({ "nodeName": "node-1", "containers": [] });
        server.put(&parse::<Pod>(pod.clone()));
        assert!(!is_superseded(&observe(&context, &database(json!({})), Some(&workload)).await));

        pod["metadata"]["ownerReferences"][0]["uid"] = json!("another");
        server.put(&parse::<Pod>(pod));
        assert_eq!(observe(&context, &database(json!({})), Some(&workload)).await.pod, None);
    }

    #[tokio::test]
    async fn pod_of_a_node_that_does_not_report_is_observed() {
        let server = FakeApiServer::new("demo");
        server.put(&parse::<Pod>(json!({
            "metadata": {
                "name": "orders-0", "uid": "p", "deletionTimestamp": "2026-11-20T10:00:00Z",
                // The fake API server deletes at once what nothing holds.
                "finalizers": ["example.com/kubelet"],
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" }],
            },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "False" }] },
        })));
        let context = fixtures::context(&server);
        let problem = observe(&context, &database(json!({})), Some(&running())).await.unready.unwrap();
        assert_eq!(problem.reason, "PodNotEnding");
        assert!(problem.message.contains("on node node-1 should have ended"), "{}", problem.message);
    }

    #[tokio::test]
    async fn pod_whose_network_cannot_be_set_up_is_observed() {
        let server = FakeApiServer::new("demo");
        server.put(&parse::<Pod>(json!({
            "metadata": {
                "name": "orders-0", "uid": "p",
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" }],
            },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Pending", "conditions": [{ "type": "PodScheduled", "status": "True" }] },
        })));
        server.put(&parse::<Event>(json!({
            "metadata": { "name": "e" }, "involvedObject": { "uid": "p" }, "type": "Warning",
            "reason": "FailedCreatePodSandBox", "message": "Failed to create pod sandbox: no token",
            "lastTimestamp": "2026-11-20T10:00:00Z",
        })));
        let context = fixtures::context(&server);
        let problem = observe(&context, &database(json!({})), Some(&running())).await.unready.unwrap();
        assert_eq!(problem.reason, "ContainerNotStarted");
        assert!(problem.message.contains("FailedCreatePodSandBox: Failed to create"), "{}", problem.message);
    }
}
