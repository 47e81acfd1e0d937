//! Events about the database's pod and its workload: the only place where the controller says why it creates no pod, and the
//! kubelet why it mounts no volume.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::ListParams;
use pgops_api::names;

use super::client::Cluster;
use super::obstacle::{self, Obstacle};

/// How many are read at most.
const MAX_EVENTS: u32 = 100;

impl Cluster {
    /// What keeps the pod from answering, or from ending.
    pub(super) async fn obstacle(&self, workload: Option<&StatefulSet>, pod: Option<&Pod>) -> Obstacle {
        let name = pod.map_or_else(|| names::pod(&self.plan.database, 0), ResourceExt::name_any);
        self.obstacle_of(&name, workload, pod).await
    }

    /// The same of the pod of that name, which need not exist.
    pub(super) async fn obstacle_of(
        &self,
        name: &str,
        workload: Option<&StatefulSet>,
        pod: Option<&Pod>,
    ) -> Obstacle {
        let uid = pod.map_or_else(|| workload.and_then(ResourceExt::uid), ResourceExt::uid);
        let events = match uid {
            Some(uid) => self.events_of(&uid).await,
            None => Vec::new(),
        };
        obstacle::obstacle(name, workload, pod, &events, Timestamp::now())
    }

    /// The Events about the object with that uid. They only explain a wait, so a failure is not retried.
    async fn events_of(&self, uid: &str) -> Vec<Event> {
        let parameters = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(MAX_EVENTS);
        match self.events.list(&parameters).await {
            Ok(events) => events.items,
            Err(error) => {
                tracing::debug!(uid, %error, "failed to read Events");
                Vec::new()
            }
        }
    }
}
