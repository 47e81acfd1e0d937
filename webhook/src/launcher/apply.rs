//! Does what was decided. Every write may be repeated, and the process may stop after any line.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleBinding};
use kube::Client;
use kube::runtime::controller;
use kube::runtime::events::Recorder;
use pgops_api::{Owner, PostgresOpsRequest, names};
use pgops_kube::finalizers::{with_finalizer, without_finalizer};
use serde_json::{Value, json};

use super::action::Action;
use super::events;
use super::job_state::{ANNOTATION_HELD, ANNOTATION_WITHDRAWN, Withdrawal};
use super::options::WorkerOptions;
use super::pods;
use super::state::{State, has_finalizer};
use super::status;
use super::waiting::{JOB_REFUSED, NAME_TAKEN, WRITE_REFUSED};
use super::worker::Worker;
use super::worker::metadata::metadata;
use super::writes::{self, Error};
use pgops_api::Claim;

/// Pause before a request that waits is checked again.
const WAIT_INTERVAL: Duration = Duration::from_secs(10);

/// Applies actions to the cluster.
pub struct Reconciler {
    pub client: Client,
    pub recorder: Recorder,
    /// What is the same for all workers.
    pub worker: WorkerOptions,
}

impl Reconciler {
    /// Applies the action, then announces it; returns when to reconcile again.
    pub async fn apply(&self, state: &State, action: &Action) -> Result<controller::Action, Error> {
        let request = &state.request;
        match status::written_by(action, state) {
            // Neither written nor announced again.
            Some(status) if request.status.as_ref() == Some(&status) => return Ok(requeue(action)),
            Some(status) => writes::patch_status(&self.client, request, status).await?,
            None => match self.write(state, action).await {
                Err(Error::Foreign(foreign)) => {
                    let action = Action::Wait { reason: NAME_TAKEN, message: foreign.to_string() };
                    return Box::pin(self.apply(state, &action)).await;
                }
                // A quota or a policy of the namespace: its users must see it on the request.
                Err(Error::Write(error)) if error.is_refused() && !request.phase().is_terminal() => {
                    let message = format!("{error}: {}", error.cause());
                    let action = Action::Warn { reason: refusal(action), message };
                    return Box::pin(self.apply(state, &action)).await;
                }
                written => written?,
            },
        }
        events::log(state, action);
        if let Some(event) = events::announcement(state, action) {
            events::record(&self.recorder, request, event).await;
        }
        Ok(requeue(action))
    }

    /// Writes everything except a status.
    async fn write(&self, state: &State, action: &Action) -> Result<(), Error> {
        match action {
            Action::Claim(claim) => self.claim(state, claim).await,
            Action::Release => self.write_claim(state, None).await,
            Action::Launch(worker) => self.launch(state, worker).await,
            Action::StartJob | Action::UnsuspendJob => self.suspend(state, false, None).await,
            Action::Withdraw(withdrawal) => self.withdraw(state, withdrawal).await,
            Action::EndPods { grace } => self.end_pods(state, *grace).await,
            Action::FreeVolume => match &state.server {
                Some(server) => writes::delete_pod(&self.client, server, None).await,
                None => Ok(()),
            },
            Action::ReleaseJob => self.release_job(state).await,
            Action::DeleteJob => self.delete_job(state).await,
            Action::GrantOwnPods(rules) => self.grant(state, rules).await,
            Action::Revoke => state.rights.delete(&self.client).await,
            Action::ClearResume { .. } => self.clear_resume(&state.request).await,
            Action::RemoveFinalizer => self.remove_finalizer(&state.request).await,
            Action::Nothing
            | Action::Recheck(_)
            | Action::Warn { .. }
            | Action::Acknowledge { .. }
            | Action::Wait { .. }
            | Action::Deny { .. }
            | Action::MarkProgressing
            | Action::StopWaiting
            | Action::Fail { .. }
            | Action::Succeed { .. }
            | Action::Resume => Ok(()),
        }
    }

    async fn claim(&self, state: &State, claim: &Claim) -> Result<(), Error> {
        // The finalizer comes first: from then on the request stays until it has released the database.
        self.ensure_finalizer(&state.request).await?;
        let claim = serde_json::to_string(claim).map_err(Error::Serialize)?;
        self.write_claim(state, Some(claim)).await
    }

    /// Writes the claim to the database that was observed, or removes it.
    async fn write_claim(&self, state: &State, claim: Option<String>) -> Result<(), Error> {
        let Some(database) = &state.database else { return Ok(()) };
        let patch = json!({ "metadata": { "annotations": { names::ANNOTATION_CLAIM: claim } } });
        writes::patch(&self.client, "claim or release", database, patch).await
    }

    async fn launch(&self, state: &State, worker: &Worker) -> Result<(), Error> {
        // A user may have removed the finalizer since the claim.
        self.ensure_finalizer(&state.request).await?;
        self.create(worker).await
    }

    /// The rights come before the Job, whose pod needs them; the Job itself comes last.
    async fn create(&self, worker: &Worker) -> Result<(), Error> {
        let owner = Owner::new::<PostgresOpsRequest>(&worker.plan.request, &worker.plan.request_uid);
        writes::create(&self.client, &owner, &worker.service_account(), |_, _| true).await?;
        self.ensure_role(&owner, worker).await?;
        let job = worker.job(&self.worker).map_err(Error::Serialize)?;
        // Not its images: webhooks rewrite them.
        let has_the_account =
            |stored: &Job, wanted: &Job| pods::account_of_job(stored) == pods::account_of_job(wanted);
        if writes::create(&self.client, &owner, &job, has_the_account).await? {
            tracing::info!(
                request = worker.plan.request,
                database = worker.plan.database,
                namespace = worker.plan.namespace,
                job = metadata(&worker.plan).name,
                from = worker.plan.from.name,
                to = worker.plan.to.name,
                "created the job of an upgrade"
            );
        }
        Ok(())
    }

    /// Creates the Role and its binding, or gives an existing Role the rights of this plan: the worker of a Job that was
    /// deleted may have had others, if the catalog has got other images since.
    ///
    /// An existing Role gets them last: RBAC lets a user bind a Role without rules to anyone, and prevents it afterwards.
    async fn ensure_role(&self, owner: &Owner, worker: &Worker) -> Result<(), Error> {
        let (role, binding) = (worker.role(), worker.role_binding());
        let binds_the_same = |stored: &RoleBinding, wanted: &RoleBinding| {
            stored.role_ref == wanted.role_ref && stored.subjects == wanted.subjects
        };
        let is_new = writes::create(&self.client, owner, &role, |_, _| true).await?;
        writes::create(&self.client, owner, &binding, binds_the_same).await?;
        if is_new {
            return Ok(());
        }
        let Some(existing) = writes::read_again(&self.client, &role).await? else { return Ok(()) };
        if existing.rules == role.rules {
            return Ok(());
        }
        writes::patch(&self.client, "update", &existing, json!({ "rules": role.rules })).await
    }

    /// Writes the rules of the Role that was observed.
    async fn grant(&self, state: &State, rules: &[PolicyRule]) -> Result<(), Error> {
        let Some(role) = &state.rights.role else { return Ok(()) };
        writes::patch(&self.client, "update", role, json!({ "rules": rules })).await
    }

    async fn withdraw(&self, state: &State, withdrawal: &Withdrawal) -> Result<(), Error> {
        let withdrawal = serde_json::to_string(withdrawal).map_err(Error::Serialize)?;
        self.suspend(state, true, Some(withdrawal)).await
    }

    /// Suspends or unsuspends the Job that was observed; one that has changed since is observed again.
    async fn suspend(&self, state: &State, suspend: bool, withdrawal: Option<String>) -> Result<(), Error> {
        let Some(job) = &state.job else { return Ok(()) };
        let mut annotations = json!({ ANNOTATION_WITHDRAWN: withdrawal });
        if !suspend {
            annotations[ANNOTATION_HELD] = Value::Null;
        }
        let patch = json!({
            "metadata": { "annotations": annotations },
            "spec": { "suspend": suspend },
        });
        writes::patch(&self.client, "suspend or unsuspend", job, patch).await
    }

    async fn end_pods(&self, state: &State, grace: Option<i64>) -> Result<(), Error> {
        for pod in state.pods.iter().filter(|pod| pods::is_alive(pod)) {
            writes::delete_pod(&self.client, pod, grace).await?;
        }
        Ok(())
    }

    async fn release_job(&self, state: &State) -> Result<(), Error> {
        let Some(job) = &state.job else { return Ok(()) };
        writes::patch(&self.client, "release", job, without_finalizer(job, names::JOB_FINALIZER)).await
    }

    async fn delete_job(&self, state: &State) -> Result<(), Error> {
        let Some(job) = &state.job else { return Ok(()) };
        writes::delete(&self.client, job).await
    }

    async fn clear_resume(&self, request: &PostgresOpsRequest) -> Result<(), Error> {
        let patch = json!({ "metadata": { "annotations": { names::ANNOTATION_RESUME: null } } });
        writes::patch(&self.client, "remove the resume annotation of", request, patch).await
    }

    /// Adds the finalizer to a request that has none and is not being deleted.
    async fn ensure_finalizer(&self, request: &PostgresOpsRequest) -> Result<(), Error> {
        if has_finalizer(request) || request.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        self.write_finalizers(request, with_finalizer(request, names::REQUEST_FINALIZER)).await
    }

    async fn remove_finalizer(&self, request: &PostgresOpsRequest) -> Result<(), Error> {
        self.write_finalizers(request, without_finalizer(request, names::REQUEST_FINALIZER)).await
    }

    async fn write_finalizers(&self, request: &PostgresOpsRequest, change: Value) -> Result<(), Error> {
        writes::patch(&self.client, "set the finalizer of", request, change).await
    }
}

/// Reason of a request whose action was refused.
fn refusal(action: &Action) -> &'static str {
    match action {
        Action::Launch(_) | Action::StartJob | Action::UnsuspendJob => JOB_REFUSED,
        _ => WRITE_REFUSED,
    }
}

/// When to reconcile again after the action.
fn requeue(action: &Action) -> controller::Action {
    match action {
        Action::Recheck(left) => {
            let left = Duration::try_from(*left).unwrap_or(WAIT_INTERVAL);
            controller::Action::requeue(left.max(Duration::from_secs(1)))
        }
        Action::Wait { .. }
        | Action::Warn { .. }
        | Action::Launch(_)
        | Action::EndPods { .. }
        | Action::FreeVolume => controller::Action::requeue(WAIT_INTERVAL),
        Action::Claim(_)
        | Action::Release
        | Action::Resume
        | Action::Revoke
        | Action::GrantOwnPods(_)
        | Action::StopWaiting
        | Action::ReleaseJob => controller::Action::requeue(Duration::ZERO),
        Action::Nothing
        | Action::Acknowledge { .. }
        | Action::Deny { .. }
        | Action::StartJob
        | Action::MarkProgressing
        | Action::Withdraw(_)
        | Action::UnsuspendJob
        | Action::Fail { .. }
        | Action::Succeed { .. }
        | Action::DeleteJob
        | Action::ClearResume { .. }
        | Action::RemoveFinalizer => controller::Action::await_change(),
    }
}
