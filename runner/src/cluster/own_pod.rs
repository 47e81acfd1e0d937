//! Why another container of this worker's own pod has ended, as the kubelet reports it.

use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::client::Cluster;

/// The kubelet's reason for a container whose processes the kernel has killed for lack of memory.
const OOM_KILLED: &str = "OOMKilled";
/// How often to read the pod, and for how long in all: the kubelet reports the end of a container after a second or two, and
/// the launcher may still be granting the right to read it. A failed step waits for this, perhaps in the outage.
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// A container of the worker that was killed for lack of memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MemoryKill {
    pub container: String,
    /// Its memory limit, as its pod has it.
    pub limit: Option<String>,
}

impl fmt::Display for MemoryKill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, limit } = self;
        write!(f, "the kernel has killed container \"{container}\" of this pod for lack of memory: ")?;
        match limit {
            Some(limit) => write!(f, "raise its memory limit of {limit}, which a LimitRange may have set"),
            None => write!(f, "it has no limit, so the node had no memory left"),
        }
    }
}

impl Cluster {
    /// Whether a container of this pod, which has ended, was killed for lack of memory; none too if that cannot be found out.
    pub async fn memory_kill(&self, container: &str) -> Option<MemoryKill> {
        let (pod, end) = tokio::time::timeout(TIMEOUT, self.wait_end(container)).await.ok()?;
        (end.reason.as_deref() == Some(OOM_KILLED))
            .then(|| MemoryKill { container: container.to_owned(), limit: memory_limit(&pod, container) })
    }

    /// Waits until the kubelet has reported that the container has ended.
    async fn wait_end(&self, container: &str) -> (Pod, ContainerStateTerminated) {
        loop {
            if let Some(pod) = self.own_pod().await
                && let Some(end) = last_end(&pod, container).cloned()
            {
                return (pod, end);
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// The memory limit of a container of this pod, if it has one and the pod can be read.
    pub async fn memory_limit(&self, container: &str) -> Option<String> {
        memory_limit(&self.own_pod().await?, container)
    }

    /// It only explains what has happened, so a failure is not retried.
    async fn own_pod(&self) -> Option<Pod> {
        let name = self.own_pod.as_deref()?;
        let pod = self.pods.get(name).await;
        pod.inspect_err(|error| tracing::debug!(pod = name, %error, "failed to read the own pod")).ok()
    }
}

/// How a container has ended last.
fn last_end<'a>(pod: &'a Pod, container: &str) -> Option<&'a ContainerStateTerminated> {
    let status = pod.status.as_ref()?;
    let statuses = [&status.init_container_statuses, &status.container_statuses];
    let found = statuses.into_iter().flatten().flatten().find(|it| it.name == container)?;
    [&found.state, &found.last_state].into_iter().flatten().find_map(|state| state.terminated.as_ref())
}

fn memory_limit(pod: &Pod, container: &str) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let mut containers = spec.init_containers.iter().flatten().chain(&spec.containers);
    let limits = containers.find(|it| it.name == container)?.resources.as_ref()?.limits.as_ref()?;
    limits.get("memory").map(|limit| limit.0.clone())
}
