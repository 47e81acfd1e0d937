//! Whether the next pod of a database could take the place of the present one: asked before that is deleted, and from time to time
//! while it runs (`ask_if_due`). Whether the API server would take the pod is found out by a dry run.
//!
//! The scheduler cannot be asked: that takes the right to read all nodes, which the provisioner does not have.

mod candidate;
mod quota;
mod references;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use pgops_api::{Postgres, bounded, names};
use pgops_kube::ApiError;

use crate::apply::MANAGER;
use crate::context::Context;
use crate::next_pod::NextPod;
use crate::observe;
use crate::volume_risk::volume_risk;
use candidate::candidate;
use quota::Excess;

/// Longest message of the API server, in bytes.
const MAX_WORDS: usize = 1024;

/// Asks about the pod that the workload's controller would create from its present template; with this image of the server, if an
/// upgrade is to change that.
pub async fn ask(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
    image: Option<&str>,
) -> Result<NextPod, ApiError> {
    if let Some(risk) = volume_risk(context, database, workload).await? {
        return Ok(NextPod::LosesVolume(risk.to_string()));
    }
    let pod = candidate(database, workload, image);
    let namespace = database.namespace().unwrap_or_default();
    if let Some(spec) = &pod.spec
        && let Some(missing) = references::missing(&context.client, &namespace, spec).await
    {
        return Ok(NextPod::Lacks(missing.to_string()));
    }
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &namespace);
    let params = PostParams { dry_run: true, field_manager: Some(MANAGER.to_owned()) };
    let asked = pods.create(&params, &pod).await;
    let Err(error) = asked.map_err(ApiError::on::<Pod>("ask about", pod.name_any())) else {
        return Ok(NextPod::Accepted);
    };
    let name = names::pod(&database.name_any(), 0);
    let words = error.cause().replace(&pod.name_any(), &name);
    // Another user's pod has the name, which is looked at last.
    if error.is_already_exists() || cannot_tell(&words) {
        return Ok(NextPod::Accepted);
    }
    if error.is_unavailable() || will_tell(&words) {
        return Ok(NextPod::Unavailable(bounded(words, MAX_WORDS, "")));
    }
    if !error.is_refused() {
        return Err(error);
    }
    if let Some(excess) = Excess::parse(&words) {
        // The present pod is in the quota too, until it has ended.
        let present = observe::pod(context, database, workload).await?;
        if present.is_some_and(|present| excess.ends_with(&present)) {
            return Ok(NextPod::Accepted);
        }
    }
    Ok(NextPod::Refused(bounded(words, MAX_WORDS, "")))
}

/// Whether a quota is so new that its use has not been counted.
fn will_tell(words: &str) -> bool {
    words.contains("status unknown for quota")
}

/// Whether a webhook is not called in a dry run, since it does not say that it then changes nothing.
fn cannot_tell(words: &str) -> bool {
    words.contains("does not support dry run")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, database, put_what_pods_require, version, workload};
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    /// What is known of the next pod if the API server refuses it with these words, while the present pod requests 1Gi.
    async fn refused_with(words: Option<&'static str>) -> NextPod {
        let server = FakeApiServer::new("demo");
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.uid = Some("w".to_owned());
        let owner = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" });
        let requests = json!({ "requests": { "memory": "1Gi" } });
        let present: Pod = serde_json::from_value(json!({
            "metadata": { "name": "orders-0", "ownerReferences": [owner] },
            "spec": { "containers": [{ "name": "postgres", "resources": requests }] },
        }))
        .unwrap();
        server.put(&present);
        put_what_pods_require(&server);
        server.refuse_to_create::<Pod>(words);
        let before = server.version();
        let answer = ask(&fixtures::context(&server), &database(json!({})), &workload, None).await.unwrap();
        assert_eq!(server.version(), before, "nothing is stored");
        answer
    }

    #[tokio::test]
    async fn next_pod_is_refused_in_the_words_of_the_api_server() {
        assert_eq!(refused_with(None).await, NextPod::Accepted);
        let words = "pods \"orders-pod-check\" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi";
        let told = words.replace("orders-pod-check", "orders-0");
        assert_eq!(refused_with(Some(words)).await, NextPod::Refused(told));
    }

    #[tokio::test]
    async fn next_pod_needs_the_volume_and_the_objects_that_it_requires() {
        let server = FakeApiServer::new("demo");
        put_what_pods_require(&server);
        let workload = workload(&version("13.16", "13.16", None));
        let context = fixtures::context(&server);
        let database = database(json!({}));
        let ask = async || ask(&context, &database, &workload, None).await.unwrap();
        assert_eq!(ask().await, NextPod::Accepted);
        server.change::<Secret>("orders-auth", |it| it["data"] = json!({ "username": "" }));
        assert_eq!(ask().await, NextPod::Lacks("Secret orders-auth has no key \"password\"".to_owned()));
        server.change::<PersistentVolumeClaim>("data-orders-0", |it| {
            it["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
            it["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
        });
        let NextPod::LosesVolume(words) = ask().await else { panic!("it would be lost") };
        assert!(words.contains("data-orders-0 is being deleted"), "{words}");
    }

    #[tokio::test]
    async fn quota_is_exceeded_only_if_the_present_pod_does_not_make_room() {
        let full = "pods \"orders-pod-check\" is forbidden: exceeded quota: q, requested: pods=1,requests.memory=1536Mi, \
                    used: pods=1,requests.memory=1Gi, limited: pods=1,requests.memory=2Gi";
        assert_eq!(refused_with(Some(full)).await, NextPod::Accepted);
        let exceeded = "pods \"orders-0\" is forbidden: exceeded quota: q, requested: requests.memory=3Gi, \
                        used: requests.memory=1Gi, limited: requests.memory=2Gi";
        assert_eq!(refused_with(Some(exceeded)).await, NextPod::Refused(exceeded.to_owned()));
    }

    #[tokio::test]
    async fn new_quota_is_waited_for() {
        let words = "pods \"orders-0\" is forbidden: status unknown for quota: q, resources: requests.memory";
        assert_eq!(refused_with(Some(words)).await, NextPod::Unavailable(words.to_owned()));
    }

    #[tokio::test]
    async fn webhook_that_knows_no_dry_run_keeps_no_pod_from_being_replaced() {
        let words = "admission webhook \"inject.example\" does not support dry run";
        assert_eq!(refused_with(Some(words)).await, NextPod::Accepted);
    }
}
