//! What users see of a running upgrade: phase, step, outage and conditions of the request, and Events. Writing it never
//! delays the upgrade: during the outage only the latest state is written.

mod view;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter as Source};
use kube::{Resource, ResourceExt};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, Phase};
use pgops_api::plan::{Scope, Step, UpgradeKind};
use pgops_api::progress::retry_message;
use pgops_api::{Condition, PostgresOpsRequest, bounded, condition, display_chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, ClusterError, Obstacle};
use crate::outage::{Outage, OutageChange};
use crate::saga::{Event, Failure, Outcome, Record};
use view::{View, apply, has_failed, numbered, outage_condition, step_condition};

/// Shows the state of one upgrade.
pub struct Reporter {
    cluster: Cluster,
    kind: UpgradeKind,
    scope: Scope,
    view: watch::Sender<View>,
    writer: JoinHandle<()>,
    outage: Outage,
}

impl Reporter {
    /// Starts to show the upgrade of `kind`, or the part of it in `scope`.
    #[must_use]
    pub fn new(cluster: Cluster, kind: UpgradeKind, scope: Scope) -> Self {
        let (view, mut changes) = watch::channel(View::default());
        let writer = tokio::spawn({
            let cluster = cluster.clone();
            async move {
                while changes.changed().await.is_ok() {
                    let view = changes.borrow_and_update().clone();
                    if let Err(error) = write(&cluster, &view).await {
                        tracing::warn!("{}", display_chain(&error));
                    }
                }
            }
        });
        Self { cluster, kind, scope, view, writer, outage: Outage::default() }
    }

    /// The outage so far.
    #[must_use]
    pub fn outage(&self) -> Outage {
        self.outage
    }

    /// Shows a record, and what it means for the outage.
    pub fn show(&mut self, record: &Record, outage: Option<OutageChange>) {
        if let Some(change) = outage {
            self.outage.record(change, record.at, record.serving_since);
        }
        let step = self.numbered(record.step);
        let outage = self.outage;
        self.view.send_modify(|view| {
            // While steps are undone it says which.
            if record.event != Event::Undone {
                view.step = step;
            }
            view.outage = outage;
            if let Some(condition) = outage_condition(&outage, record.at, &view.conditions) {
                condition::set(&mut view.conditions, condition);
            }
            let keeps_reason = record.event == Event::Undone && has_failed(view, record.step);
            if let Some(condition) = step_condition(record).filter(|_| !keeps_reason) {
                condition::set(&mut view.conditions, condition);
            }
        });
    }

    /// Shows that a step is being undone.
    pub fn undoing(&self, step: Step) {
        let step = format!("{} (undo)", self.numbered(step));
        self.view.send_modify(|view| view.step = step);
    }

    /// The step with its number: `7/16 PgUpgraded`.
    fn numbered(&self, step: Step) -> String {
        numbered(self.scope.steps(self.kind), step)
    }

    /// Shows what the step waits for, while it does. The log has each change once.
    pub fn waits_for(&self, obstacle: Obstacle) {
        self.view.send_if_modified(|view| view.waits_for(obstacle, Time(Timestamp::now())));
    }

    /// Shows that the step no longer waits.
    pub fn waits_no_longer(&self) {
        self.view.send_if_modified(|view| view.waiting.take().is_some());
    }

    /// What the step waits for, if it is known.
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        self.view.borrow().waiting.as_ref()?.message.clone()
    }

    /// Shows why a step, or its undo, is retried.
    pub fn retry(&mut self, step: Step, attempt: u32, failure: &Failure) {
        let message = retry_message(attempt, &failure.message);
        let condition =
            Condition::new(&step.to_string(), "Unknown", "InProgress", message, Time(Timestamp::now()));
        self.view.send_modify(|view| {
            // Why it failed matters more than why its undo is retried.
            if !has_failed(view, step) {
                condition::set(&mut view.conditions, condition);
            }
        });
    }

    /// Writes how the request ended, and waits until it is stored.
    pub async fn end(self, outcome: &Outcome, message: String) -> Result<(), ClusterError> {
        let Self { cluster, kind, scope, view, writer, .. } = self;
        let mut last = View { waiting: None, ..view.borrow().clone() };
        // The background writer must store nothing after this.
        drop(view);
        if let Err(error) = writer.await {
            tracing::warn!("the status writer failed: {error}");
        }
        let (phase, type_, reason) = match outcome {
            Outcome::Upgraded => (Phase::Successful, CONDITION_SUCCESSFUL, success_reason(scope).to_owned()),
            Outcome::RolledBack { failure, .. } => (Phase::Failed, CONDITION_FAILED, failure.reason.clone()),
            Outcome::Stuck { .. } => (Phase::Failed, CONDITION_FAILED, "Stuck".to_owned()),
        };
        if phase == Phase::Successful {
            let all = scope.steps(kind).len();
            last.step = format!("{all}/{all}");
        }
        if let Outcome::RolledBack { step, .. } | Outcome::Stuck { step, .. } = outcome {
            last.step = numbered(scope.steps(kind), *step);
        }
        let now = Time(Timestamp::now());
        if let Outcome::Stuck { step, failure } = outcome
            && !has_failed(&last, *step)
        {
            // The journal has no record of an undo that failed in every attempt.
            let failed =
                Record { at: now.0, step: *step, event: Event::Failed(failure.clone()), serving_since: None };
            if let Some(condition) = step_condition(&failed) {
                condition::set(&mut last.conditions, condition);
            }
        }
        last.conditions.push(Condition::new(type_, "True", &reason, message.clone(), now));
        let event = if phase == Phase::Successful { EventType::Normal } else { EventType::Warning };
        // Before the status: this worker's rights end with it.
        publish_event(&cluster, &cluster.request().await?, event, &reason, message).await;
        cluster
            .update_request(|request| {
                apply(request, &last);
                let generation = request.metadata.generation;
                let status = request.status.get_or_insert_default();
                status.phase = Some(phase);
                status.observed_generation = generation;
            })
            .await?;
        Ok(())
    }
}

/// The condition's reason: a dry run must not be mistaken for an upgrade.
fn success_reason(scope: Scope) -> &'static str {
    match scope {
        Scope::Upgrade => "Upgraded",
        Scope::DryRun => "DryRun",
    }
}

async fn write(cluster: &Cluster, view: &View) -> Result<PostgresOpsRequest, ClusterError> {
    cluster
        .update_request(|request| {
            apply(request, view);
            request.status.get_or_insert_default().phase = Some(Phase::Progressing);
        })
        .await
}

/// The longest note of an Event, in bytes: the API server refuses one of more than 1,024.
const MAX_NOTE: usize = 1000;

async fn publish_event(
    cluster: &Cluster,
    request: &PostgresOpsRequest,
    type_: EventType,
    reason: &str,
    note: String,
) {
    let source = Source { controller: "pgops-runner".to_owned(), instance: std::env::var("POD_NAME").ok() };
    let recorder = Recorder::new(cluster.client(), source);
    let event = KubeEvent {
        type_,
        reason: reason.to_owned(),
        note: Some(bounded(note, MAX_NOTE, "")),
        action: "Upgrade".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &request.object_ref(&())).await {
        tracing::warn!(request = request.name_any(), "failed to publish the Event {reason}: {error}");
    }
}
