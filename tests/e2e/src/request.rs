//! A `PostgresOpsRequest`, from its manifest to its end.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use pgops_api::opsrequest::Phase;
use pgops_api::plan::{Step, UpgradeKind};
use pgops_api::{PostgresOpsRequest, names};
use serde_json::{Value, json};

use crate::{Namespace, Output, wait_for};

/// Three upgrades may share two cores.
const LONGEST: Duration = Duration::from_mins(10);

/// A request to be created.
#[derive(Clone)]
pub struct UpgradeBuilder {
    ns: Namespace,
    name: String,
    manifest: Value,
}

impl UpgradeBuilder {
    pub(crate) fn new(ns: Namespace, name: &str) -> Self {
        let manifest = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": {"name": name},
            "spec": {"type": "UpdateVersion", "databaseRef": {"name": ""}, "updateVersion": {"targetVersion": ""}},
        });
        Self { ns, name: name.to_owned(), manifest }
    }

    /// The database to upgrade.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.manifest["spec"]["databaseRef"]["name"] = json!(name);
        self
    }

    /// The name of the target `PostgresVersion`.
    #[must_use]
    pub fn to(mut self, version: &str) -> Self {
        self.manifest["spec"]["updateVersion"]["targetVersion"] = json!(version);
        self
    }

    /// Any field of the spec.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.manifest["spec"][name] = value;
        self
    }

    /// Leaves a field of the spec out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(spec) = self.manifest["spec"].as_object_mut() {
            spec.remove(name);
        }
        self
    }

    /// An annotation.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.manifest["metadata"]["annotations"][name] = json!(value);
        self
    }

    /// What would be applied.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// Applies it; it must be accepted.
    pub async fn create(self) -> anyhow::Result<Upgrade> {
        self.ns.accepts(&self.manifest).await?;
        Ok(Upgrade { ns: self.ns, name: self.name })
    }

    /// Applies it; it must be refused, with a message that holds all of `parts`.
    pub async fn rejected_with(&self, parts: &[&str]) -> anyhow::Result<String> {
        let message = self.ns.rejects(&self.manifest).await?;
        for part in parts {
            ensure!(message.contains(part), "the refusal of {} should say {part:?}: {message}", self.name);
        }
        ensure!(
            self.ns.api::<PostgresOpsRequest>().get_opt(&self.name).await?.is_none(),
            "{} was refused and is stored all the same",
            self.name
        );
        Ok(message)
    }

    /// A dry run, which must be accepted.
    pub async fn dry_run(&self) -> anyhow::Result<Output> {
        let args = ["apply", "--dry-run=server", "-f", "-"];
        self.ns.kubectl(&args, Some(&self.manifest.to_string())).await?.succeeded()
    }
}

/// A request that was accepted.
pub struct Upgrade {
    ns: Namespace,
    name: String,
}

impl Upgrade {
    /// The request `name`, which exists.
    #[must_use]
    pub fn new(ns: Namespace, name: &str) -> Self {
        Self { ns, name: name.to_owned() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it is what it should be, or has ended otherwise, which is an error.
    async fn wait(
        &self,
        what: &str,
        is_so: impl Fn(&PostgresOpsRequest) -> bool,
    ) -> anyhow::Result<PostgresOpsRequest> {
        let reached = |found: Option<&PostgresOpsRequest>| {
            found.is_some_and(|request| is_so(request) || request.phase().is_terminal())
        };
        let found = wait_for(&self.ns.api(), &self.name, what, LONGEST, reached).await?;
        let found = found.context("it was there a moment ago")?;
        if !is_so(&found) {
            bail!(
                "{} ended {:?} instead of reaching {what}: {}",
                self.name,
                found.phase(),
                conditions(&found)
            );
        }
        Ok(found)
    }

    /// Waits until it has ended, well or not.
    pub async fn wait_terminal(&self) -> anyhow::Result<PostgresOpsRequest> {
        self.wait("an end", |request| request.phase().is_terminal()).await
    }

    /// Waits until it is Successful; fails as soon as it ends otherwise, with the conditions' words.
    pub async fn wait_successful(&self) -> anyhow::Result<PostgresOpsRequest> {
        self.wait("phase Successful", |request| request.phase() == Phase::Successful).await
    }

    /// Waits until it is Failed; the reason and the message of the condition that says so.
    pub async fn wait_failed(&self) -> anyhow::Result<(String, String)> {
        self.wait_phase(Phase::Failed).await
    }

    /// Waits until it is Denied; the reason and the message of the condition that says so.
    pub async fn wait_denied(&self) -> anyhow::Result<(String, String)> {
        self.wait_phase(Phase::Denied).await
    }

    /// Waits until it has ended, in whatever phase.
    pub async fn wait_ended(&self) -> anyhow::Result<Phase> {
        Ok(self.wait("its end", |request| request.phase().is_terminal()).await?.phase())
    }

    async fn wait_phase(&self, phase: Phase) -> anyhow::Result<(String, String)> {
        let request = self.wait(&format!("phase {phase:?}"), |request| request.phase() == phase).await?;
        let all = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
        let successful = pgops_api::condition::find(all, pgops_api::opsrequest::CONDITION_SUCCESSFUL);
        ensure!(successful.is_none(), "a failed request is also Successful: {}", conditions(&request));
        let failed = pgops_api::condition::find(all, pgops_api::opsrequest::CONDITION_FAILED)
            .with_context(|| format!("a failed request does not say why: {}", conditions(&request)))?;
        Ok((failed.reason.clone().unwrap_or_default(), failed.message.clone().unwrap_or_default()))
    }

    /// Waits until it is at this step of a major upgrade, or later.
    pub async fn wait_step(&self, step: Step) -> anyhow::Result<()> {
        let sequence = Step::sequence(UpgradeKind::Major);
        let number = sequence.iter().position(|known| *known == step).unwrap_or_default() + 1;
        self.wait(&format!("step {number} {step}"), |request| step_number(request) >= Some(number))
            .await
            .map(drop)
    }

    /// Waits until someone has taken it up.
    pub async fn wait_taken_up(&self) -> anyhow::Result<()> {
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

    /// Kills the runner's pod: a second after the signal nothing of it runs.
    pub async fn kill_runner(&self) -> anyhow::Result<()> {
        let pods = self.runner_pods().await?;
        ensure!(!pods.is_empty(), "{} has no running pod to kill", self.name);
        for pod in pods {
            self.ns.api::<Pod>().delete(&pod.name_any(), &DeleteParams::default().grace_period(1)).await?;
        }
        Ok(())
    }

    /// Ends its Job as a deadline does: its pod is stopped, and no other comes.
    pub async fn lose_job(&self) -> anyhow::Result<()> {
        for job in self.ns.jobs_of(&self.name).await? {
            let patch = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": 1 } }));
            self.ns.api::<Job>().patch(&job.name_any(), &PatchParams::default(), &patch).await?;
        }
        Ok(())
    }

    /// Has it go on although it has failed, as a person does, and waits until it was heard.
    pub async fn carry_on(&self) -> anyhow::Result<()> {
        let annotation = format!("{}=true", names::ANNOTATION_RESUME);
        self.ns.kubectl(&["annotate", "pgops", &self.name, &annotation], None).await?.succeeded()?;
        let heard = |found: Option<&PostgresOpsRequest>| found.is_some_and(|it| !it.wants_resume());
        let found = wait_for(&self.ns.api(), &self.name, "an answer", LONGEST, heard).await?;
        let found = found.context("it was there a moment ago")?;
        ensure!(
            found.phase() == Phase::Progressing,
            "{} does not carry on: {}",
            self.name,
            conditions(&found)
        );
        Ok(())
    }

    /// Deletes the request and waits until it is gone.
    pub async fn delete(&self) -> anyhow::Result<()> {
        let api = self.ns.api::<PostgresOpsRequest>();
        api.delete(&self.name, &DeleteParams::default()).await?;
        wait_for(&api, &self.name, "the end", LONGEST, |found| found.is_none()).await.map(drop)
    }
}

/// 7 of `7/14 PgUpgraded`.
fn step_number(request: &PostgresOpsRequest) -> Option<usize> {
    request.status.as_ref()?.step.as_ref()?.split_once('/')?.0.trim().parse().ok()
}

/// The conditions, a line each.
pub fn conditions(request: &PostgresOpsRequest) -> String {
    let all = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let line = |condition: &pgops_api::Condition| {
        let (reason, message) = (condition.reason.as_deref(), condition.message.as_deref());
        format!(
            "\n  {}={} {}: {}",
            condition.type_,
            condition.status,
            reason.unwrap_or(""),
            message.unwrap_or("")
        )
    };
    all.iter().map(line).collect()
}
