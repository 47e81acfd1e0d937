//! What people see of a running upgrade: phase, step, outage and conditions of the request, and
//! Events. Writing it never delays the work: during the outage only the newest state counts.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::runtime::events::{Event as KubeEvent, EventType, Recorder, Reporter as Source};
use kube::{Resource, ResourceExt};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, CONDITION_WAITING, Phase};
use pgops_api::plan::{Scope, Step, UpgradeKind};
use pgops_api::{Condition, PostgresOpsRequest, condition};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::{Cluster, ClusterError};
use crate::saga::{Event, Failure, Outcome, Record};

/// The state to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    step: String,
    outage: Option<String>,
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

/// When the database took no writes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outage {
    began: Option<Timestamp>,
    ended: Option<Timestamp>,
}

impl Outage {
    /// Takes one record into account.
    fn see(&mut self, record: &Record, kind: UpgradeKind) {
        // The step whose undoing has the old version serve again.
        let restored = match kind {
            UpgradeKind::Major => Step::StopDatabase,
            UpgradeKind::Minor => Step::UpdateStatefulSetImage,
        };
        match (record.step, &record.event) {
            (Step::StopDatabase, Event::Started) => self.began = self.began.or(Some(record.at)),
            (Step::StartDatabase, Event::Succeeded) => self.ended = Some(record.at),
            (step, Event::Undone) if step == restored && self.began.is_some() => self.ended = Some(record.at),
            _ => {}
        }
    }

    /// How long it lasted, or lasts until now.
    #[must_use]
    pub fn duration(&self) -> Option<SignedDuration> {
        Some(self.ended.unwrap_or_else(Timestamp::now).duration_since(self.began?))
    }
}

/// Seconds with one decimal, as people say them: `5.6s`.
#[must_use]
pub fn seconds(duration: SignedDuration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

impl Reporter {
    /// Begins to show the upgrade of `kind`, or the part of it that is done.
    #[must_use]
    pub fn new(cluster: Cluster, kind: UpgradeKind, scope: Scope) -> Self {
        let (view, mut changes) = watch::channel(View::default());
        let writer = tokio::spawn({
            let cluster = cluster.clone();
            async move {
                while changes.changed().await.is_ok() {
                    let view = changes.borrow_and_update().clone();
                    if let Err(error) = write(&cluster, &view).await {
                        tracing::warn!("{}", crate::steps::display_chain(&error));
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

    /// Shows a record.
    pub fn show(&mut self, record: &Record) {
        self.outage.see(record, self.kind);
        let steps = self.scope.steps(self.kind);
        let number = steps.iter().position(|step| *step == record.step).map_or(0, |index| index + 1);
        let outage = self.outage.duration().map(seconds);
        self.view.send_modify(|view| {
            view.step = format!("{number}/{} {}", steps.len(), record.step);
            view.outage = outage;
            let keeps_its_reason = record.event == Event::Undone && has_failed(view, record.step);
            if let Some(condition) = step_condition(record).filter(|_| !keeps_its_reason) {
                condition::set(&mut view.conditions, condition);
            }
        });
    }

    /// Shows why a step that is at work, or taken back, is tried once more.
    pub fn retry(&mut self, step: Step, attempt: u32, failure: &Failure) {
        let message = format!("try {attempt} failed, and another follows: {}", failure.message);
        let condition =
            Condition::new(&step.to_string(), "Unknown", "InProgress", message, Time(Timestamp::now()));
        self.view.send_modify(|view| {
            // Why it failed is more than why it was not taken back at once.
            if !has_failed(view, step) {
                condition::set(&mut view.conditions, condition);
            }
        });
    }

    /// Writes the end of the request, and waits until it is stored.
    pub async fn end(self, outcome: &Outcome, message: String) -> Result<(), ClusterError> {
        let Self { cluster, kind, scope, view, writer, outage, .. } = self;
        let mut last = view.borrow().clone();
        // The background writer stores nothing after us.
        drop(view);
        if let Err(error) = writer.await {
            tracing::warn!("the status writer ended: {error}");
        }
        last.outage = outage.duration().map(seconds);
        let (phase, type_, reason) = match outcome {
            Outcome::Upgraded => (Phase::Successful, CONDITION_SUCCESSFUL, success(scope).to_owned()),
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
            // Nothing is written down of an undo that was given up.
            let given_up = Record { at: now.0, step: *step, event: Event::Failed(failure.clone()) };
            if let Some(condition) = step_condition(&given_up) {
                condition::set(&mut last.conditions, condition);
            }
        }
        last.conditions.push(Condition::new(type_, "True", &reason, message.clone(), now));
        let request = cluster
            .update_request(|request| {
                apply(request, &last);
                let generation = request.metadata.generation;
                let status = request.status.get_or_insert_default();
                status.phase = Some(phase);
                status.observed_generation = generation;
            })
            .await?;
        let type_ = if phase == Phase::Successful { EventType::Normal } else { EventType::Warning };
        announce(&cluster, &request, type_, &reason, message).await;
        Ok(())
    }
}

fn has_failed(view: &View, step: Step) -> bool {
    condition::find(&view.conditions, &step.to_string()).is_some_and(|it| it.status == "False")
}

/// The word for machines: nobody must take a dry run for an upgrade.
fn success(scope: Scope) -> &'static str {
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
    if view.outage.is_some() {
        status.outage.clone_from(&view.outage);
    }
    status.conditions.retain(|condition| condition.type_ != CONDITION_WAITING);
    for condition in &view.conditions {
        condition::set(&mut status.conditions, condition.clone());
    }
}

/// A step's condition, as `KubeDB` writes it: type and reason are the step's name once it is done.
/// One that is not taken back stands as it did.
fn step_condition(record: &Record) -> Option<Condition> {
    let step = record.step.to_string();
    let (status, reason, message) = match &record.event {
        Event::Started => ("Unknown", "InProgress".to_owned(), "at work".to_owned()),
        Event::Succeeded => ("True", step.clone(), "done".to_owned()),
        Event::Failed(failure) | Event::GivenUp(failure) => {
            ("False", failure.reason.clone(), failure.message.clone())
        }
        Event::Undone => ("False", "Undone".to_owned(), "taken back".to_owned()),
        Event::Committed(_) => return None,
    };
    Some(Condition::new(&step, status, &reason, message, Time(record.at)))
}

async fn announce(
    cluster: &Cluster,
    request: &PostgresOpsRequest,
    type_: EventType,
    reason: &str,
    note: String,
) {
    let source = Source { controller: "pgops-runner".to_owned(), instance: std::env::var("POD_NAME").ok() };
    let recorder = Recorder::new(cluster.client(), source);
    let note: String = note.chars().take(1000).collect();
    let event = KubeEvent {
        type_,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Upgrade".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, &request.object_ref(&())).await {
        tracing::warn!(request = request.name_any(), "failed to publish the event {reason}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: i64, step: Step, event: Event) -> Record {
        Record { at: Timestamp::from_second(second).unwrap(), step, event }
    }

    #[test]
    fn the_outage_lasts_from_the_stop_to_the_answer() {
        let mut outage = Outage::default();
        outage.see(&record(10, Step::StopDatabase, Event::Started), UpgradeKind::Major);
        outage.see(&record(14, Step::PgUpgraded, Event::Succeeded), UpgradeKind::Major);
        outage.see(&record(16, Step::StartDatabase, Event::Succeeded), UpgradeKind::Major);
        assert_eq!(outage.duration().map(seconds).as_deref(), Some("6.0s"));
    }

    #[test]
    fn a_second_start_of_the_stop_does_not_shorten_the_outage() {
        let mut outage = Outage::default();
        outage.see(&record(10, Step::StopDatabase, Event::Started), UpgradeKind::Major);
        outage.see(&record(60, Step::StopDatabase, Event::Started), UpgradeKind::Major);
        outage.see(&record(70, Step::StopDatabase, Event::Undone), UpgradeKind::Major);
        assert_eq!(outage.duration().map(seconds).as_deref(), Some("60.0s"));
    }

    #[test]
    fn a_failed_step_says_why_in_its_condition() {
        let failure = Failure {
            reason: "PreflightFailed".into(),
            message: "prepared transaction tx_81".into(),
            may_pass: false,
        };
        let condition = step_condition(&record(1, Step::Preflight, Event::Failed(failure))).unwrap();
        assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("Preflight", "False"));
        assert_eq!(condition.message.as_deref(), Some("prepared transaction tx_81"));
    }

    #[test]
    fn a_step_that_was_given_up_does_not_stand() {
        let failure =
            Failure { reason: "AnalyzeFailed".into(), message: "vacuumdb ended".into(), may_pass: false };
        let condition = step_condition(&record(1, Step::Analyze, Event::GivenUp(failure))).unwrap();
        assert_eq!(
            (condition.status.as_str(), condition.reason.as_deref()),
            ("False", Some("AnalyzeFailed"))
        );
        assert_eq!(condition.message.as_deref(), Some("vacuumdb ended"));
    }

    #[test]
    fn a_step_that_is_done_has_its_name_as_reason() {
        let condition = step_condition(&record(1, Step::PgUpgraded, Event::Succeeded)).unwrap();
        assert_eq!(condition.reason.as_deref(), Some("PgUpgraded"));
        assert!(condition.is_true());
    }
}
