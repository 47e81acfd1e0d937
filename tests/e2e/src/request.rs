//! An admitted `PostgresOpsRequest`: waiting for it and interfering with it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, Phase};
use pgops_api::plan::{Step, UpgradeKind};
use pgops_api::{PostgresOpsRequest, condition, names};
use serde_json::json;

use crate::conditions::format_conditions;
use crate::namespace::Namespace;
use crate::wait::{eventually, wait_for};

/// Three upgrades may share two cores.
const TIMEOUT: Duration = Duration::from_mins(10);

/// An admitted request for an upgrade.
pub struct UpgradeRequest {
    ns: Namespace,
    name: String,
}

impl UpgradeRequest {
    /// The existing request `name`.
    #[must_use]
    pub fn new(ns: Namespace, name: &str) -> Self {
        Self { ns, name: name.to_owned() }
    }

    /// The name of the `PostgresOpsRequest` object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One part of its report.
    pub async fn report(&self, part: &str) -> anyhow::Result<String> {
        self.report_parts().await?.remove(part).with_context(|| format!("the report has no {part}"))
    }

    /// All parts of its report, as one text.
    pub async fn whole_report(&self) -> anyhow::Result<String> {
        Ok(self.report_parts().await?.into_values().collect())
    }

    /// The note of that id in its report.
    pub async fn note(&self, id: &str) -> anyhow::Result<String> {
        let report = self.report("report").await?;
        let begin = format!("[{id}] note: ");
        let line = report.lines().find(|line| line.contains(&begin));
        line.map(ToOwned::to_owned).with_context(|| format!("no note {id} in:\n{report}"))
    }

    async fn report_parts(&self) -> anyhow::Result<BTreeMap<String, String>> {
        Ok(self.ns.api::<ConfigMap>().get(&names::report(&self.name)).await?.data.unwrap_or_default())
    }

    /// Waits until `is_reached` holds; fails if the request ends without it.
    async fn wait(
        &self,
        what: &str,
        is_reached: impl Fn(&PostgresOpsRequest) -> bool,
    ) -> anyhow::Result<PostgresOpsRequest> {
        let reached_or_ended = |found: Option<&PostgresOpsRequest>| {
            found.is_some_and(|request| is_reached(request) || request.phase().is_terminal())
        };
        let found = wait_for(&self.ns.api(), &self.name, what, TIMEOUT, reached_or_ended).await?;
        let found = found.context("it was deleted meanwhile")?;
        if !is_reached(&found) {
            bail!(
                "{} ended {:?} instead of reaching {what}: {}",
                self.name,
                found.phase(),
                format_conditions(&found)
            );
        }
        Ok(found)
    }

    /// Waits until it has ended, in any phase; returns the object.
    pub async fn wait_terminal(&self) -> anyhow::Result<PostgresOpsRequest> {
        self.wait("an end", |request| request.phase().is_terminal()).await
    }

    /// Waits until it has ended, in any phase; returns the phase.
    pub async fn wait_ended(&self) -> anyhow::Result<Phase> {
        Ok(self.wait_terminal().await?.phase())
    }

    /// Waits until it is Successful; fails with the conditions as soon as it ends otherwise.
    pub async fn wait_successful(&self) -> anyhow::Result<PostgresOpsRequest> {
        self.wait("phase Successful", |request| request.phase() == Phase::Successful).await
    }

    /// Waits until it is Failed; returns the reason and message of its condition.
    pub async fn wait_failed(&self) -> anyhow::Result<(String, String)> {
        self.wait_phase(Phase::Failed).await
    }

    /// Waits until it is Denied; returns the reason and message of its condition.
    pub async fn wait_denied(&self) -> anyhow::Result<(String, String)> {
        self.wait_phase(Phase::Denied).await
    }

    async fn wait_phase(&self, phase: Phase) -> anyhow::Result<(String, String)> {
        let request = self.wait(&format!("phase {phase:?}"), |request| request.phase() == phase).await?;
        let all = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let successful = condition::find(all, CONDITION_SUCCESSFUL);
        ensure!(successful.is_none(), "a failed request is also Successful: {}", format_conditions(&request));
        let failed = condition::find(all, CONDITION_FAILED).with_context(|| {
            format!("a failed request has no condition {CONDITION_FAILED}: {}", format_conditions(&request))
        })?;
        Ok((failed.reason.clone().unwrap_or_default(), failed.message.clone().unwrap_or_default()))
    }

    /// Waits until it has reached this step of a major upgrade, or a later one.
    pub async fn wait_step(&self, step: Step) -> anyhow::Result<()> {
        let sequence = Step::sequence(UpgradeKind::Major);
        let number = sequence.iter().position(|known| *known == step).unwrap_or_default() + 1;
        self.wait(&format!("step {number} {step}"), |request| step_number(request) >= Some(number))
            .await
            .map(drop)
    }

    /// Waits until the launcher has set a status.
    pub async fn wait_observed(&self) -> anyhow::Result<()> {
        self.wait("a status", |request| request.status.is_some()).await.map(drop)
    }

    /// The runner's pods that have not ended.
    pub async fn runner_pods(&self) -> anyhow::Result<Vec<Pod>> {
        let selector = format!("{}={}", names::LABEL_REQUEST, self.name);
        let pods = self.ns.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
        let running = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        Ok(pods.items.into_iter().filter(running).collect())
    }

    /// Waits until it has a pod of the runner, which the controller of Jobs creates; returns all of them.
    pub async fn wait_runner_pods(&self) -> anyhow::Result<Vec<Pod>> {
        eventually("a pod of the runner", TIMEOUT, async || {
            let pods = self.runner_pods().await?;
            ensure!(!pods.is_empty(), "{} has none", self.name);
            Ok(pods)
        })
        .await
    }

    /// Kills the runner's pod: none of its processes survives the signal by more than a second.
    pub async fn kill_runner(&self) -> anyhow::Result<()> {
        let pods = self.runner_pods().await?;
        ensure!(!pods.is_empty(), "{} has no running pod to kill", self.name);
        for pod in pods {
            self.ns.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default().grace_period(1)).await?;
        }
        Ok(())
    }

    /// Ends its Job like an expired deadline: the pod is stopped and not replaced.
    pub async fn expire_job(&self) -> anyhow::Result<()> {
        for job in self.ns.jobs_of(&self.name).await? {
            let patch = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": 1 } }));
            self.ns.api::<Job>().patch(&job.name_any(), &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    /// Resumes it after a failure, as an operator does, and waits until pgops has reacted.
    pub async fn resume(&self) -> anyhow::Result<()> {
        let annotation = format!("{}=true", names::ANNOTATION_RESUME);
        self.ns.kubectl(&["annotate", "pgops", &self.name, &annotation], None).await?.succeeded()?;
        let is_answered = |found: Option<&PostgresOpsRequest>| found.is_some_and(|it| !it.wants_resume());
        let found = wait_for(&self.ns.api(), &self.name, "a reaction", TIMEOUT, is_answered).await?;
        let found = found.context("it was deleted meanwhile")?;
        ensure!(
            found.phase() == Phase::Progressing,
            "{} does not resume: {}",
            self.name,
            format_conditions(&found)
        );
        Ok(())
    }

    /// Deletes the request and waits until it no longer exists.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<PostgresOpsRequest>();
        api.delete(&self.name, &DeleteParams::default()).await?;
        wait_for(&api, &self.name, "the deletion", TIMEOUT, |found| found.is_none()).await.map(drop)
    }
}

/// 7 of `7/14 PgUpgraded`.
fn step_number(request: &PostgresOpsRequest) -> Option<usize> {
    request.status.as_ref()?.step.as_ref()?.split_once('/')?.0.trim().parse().ok()
}
