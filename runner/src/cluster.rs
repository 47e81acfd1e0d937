//! The control plane, as far as one upgrade touches it. Every call that a short absence of the API
//! server may break is tried again: an upgrade under way must not fail because its status cannot be
//! written.

pub mod pod;
mod tie;

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Config, ResourceExt};
use pgops_api::plan::{UpgradePlan, pause_owner_uid};
use pgops_api::postgres::CONDITION_PAUSED;
use pgops_api::{Condition, Postgres, PostgresOpsRequest, condition, names};
use serde_json::json;

pub use pod::PodState;

/// The control plane refused, or was away for too long.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A call failed.
    #[error("failed to {what}")]
    Api {
        /// What was asked, with the object's name.
        what: String,
        /// What the API server or the network said.
        #[source]
        source: Box<kube::Error>,
    },
    /// Somebody else holds the database.
    #[error(
        "{database} is held by somebody else: \"{message}\"; wait for it, or remove the condition Paused"
    )]
    Held {
        /// The database.
        database: String,
        /// The message of the condition `Paused`.
        message: String,
    },
    /// The pod of the database cannot start.
    #[error("pod {pod} cannot start: {reason}")]
    PodBroken {
        /// The pod.
        pod: String,
        /// What the kubelet says.
        reason: String,
    },
    /// An object has no address or part that it must have.
    #[error("failed to find {what}")]
    Missing {
        /// What is not there.
        what: String,
    },
}

/// The objects of one upgrade.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    plan: UpgradePlan,
    requests: Api<PostgresOpsRequest>,
    databases: Api<Postgres>,
    workloads: Api<StatefulSet>,
    pods: Api<Pod>,
    services: Api<Service>,
    reports: Api<ConfigMap>,
}

impl Cluster {
    /// The cluster that this pod runs in.
    pub async fn connect(plan: &UpgradePlan) -> Result<Self, ClusterError> {
        let what = "connect to the cluster";
        let mut config = Config::infer().await.map_err(|source| ClusterError::Api {
            what: what.to_owned(),
            source: Box::new(kube::Error::InferConfig(source)),
        })?;
        // A node of the control plane that is lost with a call under way says nothing more: the call is made again.
        config.read_timeout = Some(LONGEST_SILENCE);
        config.reset_reader_on_write = true;
        let client = Client::try_from(config).map_err(api(what))?;
        let namespace = &plan.namespace;
        Ok(Self {
            requests: Api::namespaced(client.clone(), namespace),
            databases: Api::namespaced(client.clone(), namespace),
            workloads: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            services: Api::namespaced(client.clone(), namespace),
            reports: Api::namespaced(client.clone(), namespace),
            plan: plan.clone(),
            client,
        })
    }

    /// The client, for events.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The request.
    pub async fn request(&self) -> Result<PostgresOpsRequest, ClusterError> {
        let name = &self.plan.request;
        patiently(|| self.requests.get(name)).await.map_err(api(&format!("get request {name}")))
    }

    /// Changes the request's status; `change` may run several times.
    pub async fn update_request(
        &self,
        change: impl Fn(&mut PostgresOpsRequest),
    ) -> Result<PostgresOpsRequest, ClusterError> {
        let name = self.plan.request.as_str();
        patiently(|| async {
            let mut request = self.requests.get(name).await?;
            change(&mut request);
            self.requests.replace_status(name, &PostParams::default(), &request).await
        })
        .await
        .map_err(api(&format!("write the status of request {name}")))
    }

    /// The database.
    pub async fn database(&self) -> Result<Postgres, ClusterError> {
        let name = &self.plan.database;
        patiently(|| self.databases.get(name)).await.map_err(api(&format!("get database {name}")))
    }

    /// Keeps the provisioner away, in the name of this request.
    pub async fn pause(&self) -> Result<(), ClusterError> {
        let message = self.plan.pause_message();
        let held = self.database().await?.paused().and_then(|paused| paused.message.clone());
        match held {
            Some(held) if held == message => return Ok(()),
            Some(message) => {
                return Err(ClusterError::Held { database: self.plan.database.clone(), message });
            }
            None => {}
        }
        self.change_conditions("pause", |conditions| {
            // Decided again on the very object that is written: its version guards against a race.
            if condition::find(conditions, CONDITION_PAUSED).is_none() {
                let now = Time(Timestamp::now());
                condition::set(
                    conditions,
                    Condition::new(CONDITION_PAUSED, "True", "UpgradeInProgress", message.clone(), now),
                );
            }
        })
        .await?;
        match self.database().await?.paused().and_then(|paused| paused.message.clone()) {
            Some(held) if held == message => Ok(()),
            held => Err(ClusterError::Held {
                database: self.plan.database.clone(),
                message: held.unwrap_or_default(),
            }),
        }
    }

    /// Lets the provisioner work again, if it is this request that kept it away.
    pub async fn resume(&self) -> Result<(), ClusterError> {
        let uid = self.plan.request_uid.clone();
        self.change_conditions("resume", |conditions| {
            conditions.retain(|condition| {
                let owner = condition.message.as_deref().and_then(pause_owner_uid);
                condition.type_ != CONDITION_PAUSED || owner != Some(uid.as_str())
            });
        })
        .await
    }

    async fn change_conditions(
        &self,
        what: &str,
        change: impl Fn(&mut Vec<Condition>),
    ) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        patiently(|| async {
            let mut database = self.databases.get(name).await?;
            let mut status = database.status.take().unwrap_or_default();
            let before = status.conditions.clone();
            change(&mut status.conditions);
            if status.conditions == before {
                return Ok(());
            }
            // The version of the object goes along: a status written in between is not overwritten.
            let patch = json!({
                "metadata": { "resourceVersion": database.resource_version() },
                "status": { "conditions": status.conditions },
            });
            self.databases.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        })
        .await
        .map_err(api(&format!("{what} database {name}")))
    }

    /// Names the version on the database.
    pub async fn set_version(&self, version: &str) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let (parameters, patch) =
            (PatchParams::default(), Patch::Merge(json!({ "spec": { "version": version } })));
        patiently(|| self.databases.patch(name, &parameters, &patch))
            .await
            .map(drop)
            .map_err(api(&format!("set spec.version of database {name}")))
    }

    /// The workload.
    pub async fn workload(&self) -> Result<StatefulSet, ClusterError> {
        let name = &self.plan.database;
        patiently(|| self.workloads.get(name)).await.map_err(api(&format!("get StatefulSet {name}")))
    }

    /// Image of the database's container in the workload.
    pub async fn image(&self) -> Result<String, ClusterError> {
        let workload = self.workload().await?;
        workload
            .spec
            .and_then(|spec| spec.template.spec)
            .and_then(|pod| {
                pod.containers.into_iter().find(|container| container.name == names::CONTAINER_POSTGRES)
            })
            .and_then(|container| container.image)
            .ok_or_else(|| ClusterError::Missing {
                what: format!("the image of container postgres in StatefulSet {}", self.plan.database),
            })
    }

    /// Sets the number of pods.
    pub async fn scale(&self, replicas: i32) -> Result<(), ClusterError> {
        self.patch_workload("scale", &json!({ "spec": { "replicas": replicas } })).await
    }

    /// Ties the database's next pod to a node, or lets it go. A volume that one node at a time may have is
    /// where the worker is: a pod elsewhere would wait for it without end.
    pub async fn pin(&self, node: Option<&str>) -> Result<(), ClusterError> {
        let pod = self.workload().await?.spec.and_then(|spec| spec.template.spec);
        let affinity = tie::patch(pod.and_then(|pod| pod.affinity).as_ref(), node);
        let patch = json!({ "spec": { "template": { "spec": { "affinity": affinity } } } });
        self.patch_workload("pin or unpin", &patch).await
    }

    /// Sets image and data directory of the database's container.
    pub async fn set_image(&self, image: &str, pgdata: &str) -> Result<(), ClusterError> {
        let container = json!({
            "name": names::CONTAINER_POSTGRES,
            "image": image,
            "env": [{ "name": "PGDATA", "value": pgdata }],
        });
        let patch = json!({ "spec": { "template": { "spec": { "containers": [container] } } } });
        self.patch_workload("set the image of", &patch).await
    }

    /// Whether the Service leads to the database's pod before that is ready. Clients get in with the server's first
    /// answer then, and not only when the kubelet's word has reached every node: half a second of an outage. In
    /// ordinary times it would lead to pods that end, or are lost with their node.
    pub async fn lead_early(&self, early: bool) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let parameters = PatchParams::default();
        let patch = Patch::Merge(json!({ "spec": { "publishNotReadyAddresses": early } }));
        patiently(|| self.services.patch(name, &parameters, &patch))
            .await
            .map(drop)
            .map_err(api(&format!("patch Service {name}")))
    }

    async fn patch_workload(&self, what: &str, patch: &serde_json::Value) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let (parameters, patch) = (PatchParams::default(), Patch::Strategic(patch));
        patiently(|| self.workloads.patch(name, &parameters, &patch))
            .await
            .map(drop)
            .map_err(api(&format!("{what} StatefulSet {name}")))
    }

    /// The database's pod, if there is one.
    pub async fn pod(&self) -> Result<Option<Pod>, ClusterError> {
        let name = names::pod(&self.plan.database, 0);
        patiently(|| self.pods.get_opt(&name)).await.map_err(api(&format!("get pod {name}")))
    }

    /// Deletes exactly this pod, within its grace period.
    pub async fn delete_pod(&self, pod: &Pod) -> Result<(), ClusterError> {
        let name = pod.name_any();
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: pod.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        let result = patiently(|| async {
            match self.pods.delete(&name, &parameters).await {
                // Gone, or a newer pod of the same name has taken its place.
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
                other => other.map(drop),
            }
        });
        result.await.map_err(api(&format!("delete pod {name}")))
    }

    /// How the database's pod is doing, as one with that image.
    pub async fn pod_state(&self, image: &str) -> Result<PodState, ClusterError> {
        Ok(self.pod().await?.map_or(PodState::Gone, |pod| pod::state(&pod, image)))
    }

    /// Waits until there is no pod of the database with a process in it.
    pub async fn wait_gone(&self) -> Result<(), ClusterError> {
        while self.pod().await?.is_some_and(|pod| !pod::has_ended(&pod)) {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Fails if the database's pod will not come up with that image.
    pub async fn refuse_broken(&self, image: &str) -> Result<(), ClusterError> {
        match self.pod_state(image).await? {
            PodState::Broken { reason } => Err(self.broken(reason)),
            PodState::Gone | PodState::Waiting | PodState::Ready { .. } => Ok(()),
        }
    }

    /// Waits until the database's pod answers with that image; gives its address.
    pub async fn wait_ready(&self, image: &str) -> Result<String, ClusterError> {
        loop {
            match self.pod_state(image).await? {
                PodState::Ready { ip } => return Ok(ip),
                PodState::Broken { reason } => return Err(self.broken(reason)),
                PodState::Gone | PodState::Waiting => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn broken(&self, reason: String) -> ClusterError {
        ClusterError::PodBroken { pod: names::pod(&self.plan.database, 0), reason }
    }

    /// The report of the request, if it was begun.
    pub async fn report(&self, key: &str) -> Result<Option<String>, ClusterError> {
        let name = names::report(&self.plan.request);
        let map =
            patiently(|| self.reports.get_opt(&name)).await.map_err(api(&format!("get ConfigMap {name}")))?;
        Ok(map.filter(|map| self.owns(map)).and_then(|map| map.data?.remove(key)))
    }

    fn owns(&self, map: &ConfigMap) -> bool {
        map.owner_references().iter().any(|owner| owner.uid == self.plan.request_uid)
    }

    /// Writes one part of the request's report.
    pub async fn write_report(&self, key: &str, text: &str) -> Result<(), ClusterError> {
        let name = names::report(&self.plan.request);
        let map = Patch::Apply(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    names::LABEL_REQUEST: names::request_label(&self.plan.request, &self.plan.request_uid),
                    names::LABEL_DATABASE: names::label(&self.plan.database),
                },
                // It goes with its request.
                "ownerReferences": [{
                    "apiVersion": "ops.kubedb.com/v1alpha1",
                    "kind": "PostgresOpsRequest",
                    "name": self.plan.request,
                    "uid": self.plan.request_uid,
                }],
            },
            "data": { key: text },
        }));
        // A manager for each part, or applying one would remove the other.
        let parameters = PatchParams::apply(&format!("pgops-runner-{key}")).force();
        patiently(|| self.reports.patch(&name, &parameters, &map))
            .await
            .map(drop)
            .map_err(api(&format!("write ConfigMap {name}")))
    }
}

/// How long the API server may say nothing in the middle of a call. None of ours is a watch.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// How long to wait between two looks at a pod: it adds to the outage.
const POLL: Duration = Duration::from_millis(50);

fn api(what: &str) -> impl FnOnce(kube::Error) -> ClusterError {
    let what = what.to_owned();
    move |source| ClusterError::Api { what, source: Box::new(source) }
}

/// Tries again while the API server is away, busy, or saw a newer version of the object: in all for
/// about a quarter of an hour.
async fn patiently<T, F: Future<Output = Result<T, kube::Error>>>(
    call: impl FnMut() -> F,
) -> Result<T, kube::Error> {
    let patience = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(100)
        .with_jitter();
    call.retry(patience).when(is_passing).notify(warn_of).await
}

fn warn_of(error: &kube::Error, _: Duration) {
    match error {
        // Somebody wrote first: the change is made again on the newer version, and nothing is wrong.
        kube::Error::Api(status) if status.code == 409 => tracing::debug!("{}", status.message),
        kube::Error::Api(status) => {
            tracing::warn!("the API server answers {}, tried again: {}", status.code, status.message);
        }
        other => tracing::warn!("the API server does not answer, tried again: {other}"),
    }
}

fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500 | 502..=504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_trouble_is_waited_out() {
        let api = |code: u16| {
            kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() }))
        };
        assert!(is_passing(&api(503)) && is_passing(&api(409)));
        assert!(!is_passing(&api(403)) && !is_passing(&api(404)));
    }
}
