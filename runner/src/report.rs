//! What users see of a running upgrade: phase, step, outage and conditions of the request, and Events. Writing it never
//! delays the upgrade: during the outage only the latest state is written.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter as Source};
use kube::{Resource, ResourceExt};
use pgops_api::opsrequest::{
    CONDITION_FAILED, CONDITION_OUTAGE, CONDITION_SUCCESSFUL, CONDITION_WAITING, Phase,
};
use pgops_api::plan::{Scope, Step, UpgradeKind};
use pgops_api::{Condition, PostgresOpsRequest, bounded, condition, display_chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, ClusterError};
use crate::outage::{Outage, OutageChange};
use crate::saga::{Event, Failure, Outcome, Record};

/// The state to show.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    step: String,
    outage: Outage,
    conditions: Vec<Condition>,
}

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
        let steps = self.scope.steps(self.kind);
        let number = steps.iter().position(|step| *step == record.step).map_or(0, |index| index + 1);
        let outage = self.outage;
        self.view.send_modify(|view| {
            view.step = format!("{number}/{} {}", steps.len(), record.step);
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

    /// Shows why a step, or its undo, is retried.
    pub fn retry(&mut self, step: Step, attempt: u32, failure: &Failure) {
        let message = format!("attempt {attempt} failed, retrying: {}", failure.message);
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
        let mut last = view.borrow().clone();
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

fn has_failed(view: &View, step: Step) -> bool {
    condition::find(&view.conditions, &step.to_string()).is_some_and(|it| it.status == "False")
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

fn apply(request: &mut PostgresOpsRequest, view: &View) {
    let status = request.status.get_or_insert_default();
    if !view.step.is_empty() {
        status.step = Some(view.step.clone());
    }
    if view.outage.has_begun() {
        status.outage = Some(view.outage.to_string());
    } else if condition::find(&view.conditions, CONDITION_OUTAGE).is_some() {
        // The server had not been stopped.
        status.outage = None;
    }
    status.conditions.retain(|condition| condition.type_ != CONDITION_WAITING);
    for condition in &view.conditions {
        condition::set(&mut status.conditions, condition.clone());
    }
}

/// Whether the database accepts writes; `None` if the upgrade has never stopped it. `KubeDB`'s schema has no other place for it.
fn outage_condition(outage: &Outage, now: Timestamp, shown: &[Condition]) -> Option<Condition> {
    let (status, reason, message, since) = match (outage.since(), outage.duration()) {
        (Some(since), _) => {
            ("True", "WritesStopped", format!("the database accepts no writes: {outage}"), since)
        }
        (None, Some(_)) => {
            ("False", "WritesAccepted", format!("the database accepts writes, after {outage} of outage"), now)
        }
        // It was taken to be stopped, and was not.
        (None, None) if condition::find(shown, CONDITION_OUTAGE).is_some() => {
            ("False", "WritesAccepted", "the database was not stopped".to_owned(), now)
        }
        (None, None) => return None,
    };
    Some(Condition::new(CONDITION_OUTAGE, status, reason, message, Time(since)))
}

/// A step's condition, as `KubeDB` writes it: type and reason are the step's name once it is done.
/// `None` leaves the condition of a step whose undo was refused unchanged.
fn step_condition(record: &Record) -> Option<Condition> {
    let step = record.step.to_string();
    let (status, reason, message) = match &record.event {
        Event::Started => ("Unknown", "InProgress".to_owned(), "in progress".to_owned()),
        Event::Succeeded => ("True", step.clone(), "done".to_owned()),
        Event::Failed(failure) | Event::Skipped(failure) => {
            ("False", failure.reason.clone(), failure.message.clone())
        }
        Event::Undone => ("False", "Undone".to_owned(), "undone".to_owned()),
        Event::RollForward(_) => return None,
    };
    Some(Condition::new(&step, status, &reason, message, Time(record.at)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: i64, step: Step, event: Event) -> Record {
        Record { at: Timestamp::from_second(second).unwrap(), step, event, serving_since: None }
    }

    #[test]
    fn failed_step_says_why_in_its_condition() {
        let failure = Failure {
            reason: "PreflightFailed".into(),
            message: "prepared transaction tx_81".into(),
            retryable: false,
        };
        let condition = step_condition(&record(1, Step::Preflight, Event::Failed(failure))).unwrap();
        assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("Preflight", "False"));
        assert_eq!(condition.message.as_deref(), Some("prepared transaction tx_81"));
    }

    #[test]
    fn skipped_step_has_a_failed_condition() {
        let failure =
            Failure { reason: "AnalyzeFailed".into(), message: "vacuumdb ended".into(), retryable: false };
        let condition = step_condition(&record(1, Step::Analyze, Event::Skipped(failure))).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_deref()),
            ("False", Some("AnalyzeFailed"))
        );
        assert_eq!(condition.message.as_deref(), Some("vacuumdb ended"));
    }

    #[test]
    fn condition_says_since_when_the_database_accepts_no_writes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut outage = Outage::default();
        assert_eq!(outage_condition(&outage, at(1), &[]), None);
        outage.record(OutageChange::Begins, at(10), Some(at(1)));
        let lasts = outage_condition(&outage, at(90), &[]).unwrap();
        assert!(lasts.is_true());
        assert_eq!(lasts.last_transition_time, Time(at(10)));
        assert_eq!(
            lasts.message.as_deref(),
            Some("the database accepts no writes: since 1970-01-01T00:00:10Z")
        );
        let shown = [lasts];
        let mut ended = outage;
        ended.record(OutageChange::Ends, at(924), Some(at(924)));
        let condition = outage_condition(&ended, at(924), &shown).unwrap();
        assert_eq!(condition.message.as_deref(), Some("the database accepts writes, after 914.0s of outage"));
        outage.record(OutageChange::Ends, at(30), Some(at(1)));
        let condition = outage_condition(&outage, at(30), &shown).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.message.as_deref()),
            ("False", Some("the database was not stopped"))
        );
    }

    #[test]
    fn status_has_no_outage_of_a_server_that_was_not_stopped_after_all() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let request = serde_json::json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "metadata": { "name": "orders-17" },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
        });
        let mut request: PostgresOpsRequest = serde_json::from_value(request).unwrap();
        let shown = |request: &PostgresOpsRequest| request.status.as_ref().and_then(|it| it.outage.clone());
        let mut view = View::default();
        view.outage.record(OutageChange::Begins, at(10), Some(at(1)));
        view.conditions.extend(outage_condition(&view.outage, at(10), &[]));
        apply(&mut request, &view);
        assert_eq!(shown(&request).as_deref(), Some("since 1970-01-01T00:00:10Z"));
        // A runner that resumes has not read the journal yet.
        apply(&mut request, &View::default());
        assert!(shown(&request).is_some());
        view.outage.record(OutageChange::Ends, at(30), Some(at(1)));
        apply(&mut request, &view);
        assert_eq!(shown(&request), None);
    }

    #[test]
    fn succeeded_step_has_its_name_as_reason() {
        let condition = step_condition(&record(1, Step::PgUpgraded, Event::Succeeded)).unwrap();
        assert_eq!(condition.reason.as_deref(), Some("PgUpgraded"));
        assert!(condition.is_true());
    }
}
