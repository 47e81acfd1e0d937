//! Waits for the database's pod. Other clients may change the workload meanwhile, or delete it: what is wanted is applied
//! again. What a wait waits for is reported while it lasts.

use std::ops::ControlFlow;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::client::Cluster;
use super::error::{ClusterError, ignore_missing};
use super::obstacle::Obstacle;
use super::pod::{self, PodState};
use super::pod_action::{PodAction, decide};
use super::pod_version::{PodVersion, template_revision};
use super::wait_times::WaitTimes;
use super::workload::requires_node;

/// Interval between two reads of a pod: it adds to the outage.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest that the kubelet backs off before it tries again to start a container or to pull an image, and the time for that.
const KUBELET_RETRY: Duration = Duration::from_secs(300 + 30);

/// What ends the wait for a pod that the kubelet reports as unable to start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfBroken {
    /// The upgrade can be rolled back: the report.
    Fail,
    /// It cannot: the kubelet's next attempt, if it fails too.
    WaitForNextStart,
}

/// The pod that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct StartPod<'a> {
    pub version: &'a PodVersion,
    /// The node that it must run on, if any.
    pub node: Option<&'a str>,
    pub if_broken: IfBroken,
}

/// What is seen during a wait.
#[derive(Debug)]
pub struct Observed {
    /// What keeps it from ending, whenever that was looked up.
    pub obstacle: Option<Obstacle>,
    /// Whether a server may be starting.
    pub runs_server: bool,
}

impl Cluster {
    /// Brings up the database's pod, and waits until its server answers; returns its address. `observe` sees what is waited for,
    /// and may end the wait: then there is none.
    pub async fn start_pod(
        &self,
        start: &StartPod<'_>,
        mut observe: impl FnMut(Observed) -> ControlFlow<()>,
    ) -> Result<Option<String>, ClusterError> {
        let mut wait = Wait::begin();
        let mut workload = None;
        loop {
            // The controller needs some milliseconds to observe a change.
            if wait.times.applies() || workload.as_ref().is_some_and(|it| template_revision(it).is_none()) {
                workload = self.apply(start).await?;
            }
            let pod = self.pod_of(workload.as_ref()).await?;
            let revision = workload.as_ref().and_then(template_revision);
            let action = pod.as_ref().map(|pod| decide(pod, start.version, revision, start.node));
            match (action, &pod) {
                (Some(PodAction::Use { ip }), _) => return Ok(Some(ip)),
                (Some(PodAction::Replace), Some(pod)) => self.delete_pod(pod).await?,
                (Some(PodAction::Fail { reason }), Some(pod)) if wait.is_over(pod, start.if_broken) => {
                    return Err(self.broken(reason));
                }
                _ => {}
            }
            if observe(self.observed(&mut wait, workload.as_ref(), pod.as_ref()).await).is_break() {
                return Ok(None);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Deletes the database's pod unless it was made for the version; the workload creates it again.
    pub async fn replace_pod(&self, start: &StartPod<'_>) -> Result<(), ClusterError> {
        loop {
            let Some(pod) = self.pod().await? else { return Ok(()) };
            let workload =
                if start.version.needs_revision(&pod) { self.workload.read_opt().await? } else { None };
            match decide(&pod, start.version, workload.as_ref().and_then(template_revision), start.node) {
                PodAction::Replace => return self.delete_pod(&pod).await,
                PodAction::AwaitController => tokio::time::sleep(POLL_INTERVAL).await,
                PodAction::Use { .. } | PodAction::Wait | PodAction::Fail { .. } => return Ok(()),
            }
        }
    }

    /// Scales the workload to 0, and waits until no pod of the database has a process in it.
    pub async fn stop_pod(&self, mut observe: impl FnMut(Observed)) -> Result<(), ClusterError> {
        self.scale_down().await?;
        let mut wait = Wait::begin();
        wait.times.applies();
        loop {
            // Without a workload nothing brings up another one.
            let pod = ignore_missing(self.pod().await)?.flatten();
            if pod.as_ref().is_none_or(pod::has_ended) {
                return Ok(());
            }
            if wait.times.applies() {
                let workload = self.workload.read_opt().await?;
                if workload.is_some_and(|workload| replicas(&workload) != 0) {
                    self.scale_down().await?;
                }
            }
            observe(self.observed(&mut wait, None, pod.as_ref()).await);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until a pod of the version answers, for at most `limit`, and changes nothing; returns its address, or what it waits
    /// for.
    pub async fn wait_for_answer(
        &self,
        version: &PodVersion,
        limit: Duration,
        mut observe: impl FnMut(Observed),
    ) -> Result<Result<String, Obstacle>, ClusterError> {
        let mut wait = Wait::begin();
        let mut workload = None;
        loop {
            if wait.times.applies() {
                workload = self.workload.read_opt().await?;
            }
            let pod = ignore_missing(self.pod().await)?.flatten();
            match pod.as_ref().map(|pod| pod::state(pod, version, None)) {
                Some(PodState::Ready { ip }) => return Ok(Ok(ip)),
                Some(PodState::Broken { .. }) => return Ok(Err(self.obstacle(None, pod.as_ref()).await)),
                _ if wait.times.elapsed() >= limit => {
                    return Ok(Err(self.obstacle(workload.as_ref(), pod.as_ref()).await));
                }
                _ => {}
            }
            observe(self.observed(&mut wait, workload.as_ref(), pod.as_ref()).await);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Applies what the pod needs, as far as another client has changed it; returns the workload, if it exists.
    async fn apply(&self, start: &StartPod<'_>) -> Result<Option<StatefulSet>, ClusterError> {
        // It may be deleted just now.
        Ok(ignore_missing(self.apply_to_workload(start).await)?.flatten())
    }

    async fn apply_to_workload(&self, start: &StartPod<'_>) -> Result<Option<StatefulSet>, ClusterError> {
        let Some(mut workload) = self.workload.read_opt().await? else { return Ok(None) };
        workload = self.apply_to_template(workload, start).await?;
        // Last: the controller creates a pod at once.
        if replicas(&workload) != 1 {
            workload = self.scale(1).await?;
        }
        Ok(Some(workload))
    }

    /// Sets what the pod is made from, as far as it is not so, if the workload exists.
    pub async fn apply_template(&self, start: &StartPod<'_>) -> Result<(), ClusterError> {
        let Some(workload) = self.workload.read_opt().await? else { return Ok(()) };
        ignore_missing(self.apply_to_template(workload, start).await).map(drop)
    }

    pub(super) async fn apply_to_template(
        &self,
        mut workload: StatefulSet,
        start: &StartPod<'_>,
    ) -> Result<StatefulSet, ClusterError> {
        if self.has_template_of(&workload, start.version) {
            self.note_template(&workload, start.version);
        } else {
            workload = self.set_template(start.version).await?;
        }
        if let Some(node) = start.node
            && !requires_node(&workload, node)
        {
            workload = self.require_node(node).await?;
        }
        Ok(workload)
    }

    /// The database's pod, which only a workload brings up.
    async fn pod_of(&self, workload: Option<&StatefulSet>) -> Result<Option<Pod>, ClusterError> {
        if workload.is_none() {
            return Ok(None);
        }
        Ok(ignore_missing(self.pod().await)?.flatten())
    }

    async fn observed(&self, wait: &mut Wait, workload: Option<&StatefulSet>, pod: Option<&Pod>) -> Observed {
        let obstacle = if wait.times.reports() { Some(self.obstacle(workload, pod).await) } else { None };
        Observed { obstacle, runs_server: pod.is_some_and(pod::runs_server) }
    }
}

pub(super) fn replicas(workload: &StatefulSet) -> i32 {
    // The API server's default.
    workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// One wait for a pod.
struct Wait {
    times: WaitTimes,
    /// When the pod was first seen to be broken, and how often its containers had been restarted by then.
    broken: Option<(Instant, i32)>,
}

impl Wait {
    fn begin() -> Self {
        Self { times: WaitTimes::begin(), broken: None }
    }

    /// Whether the wait for a pod that is broken is over.
    fn is_over(&mut self, pod: &Pod, if_broken: IfBroken) -> bool {
        let restarts = pod::restarts(pod);
        let (since, before) = *self.broken.get_or_insert_with(|| (Instant::now(), restarts));
        match if_broken {
            IfBroken::Fail => true,
            IfBroken::WaitForNextStart => restarts > before || since.elapsed() >= KUBELET_RETRY,
        }
    }
}

#[cfg(test)]
mod tests;
