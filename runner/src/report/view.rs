//! The state to show, as data, and the status that it makes.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pgops_api::opsrequest::{CONDITION_OUTAGE, CONDITION_WAITING};
use pgops_api::plan::Step;
use pgops_api::{Condition, PostgresOpsRequest, condition};

use crate::cluster::Obstacle;
use crate::outage::Outage;
use crate::saga::{Event, Record};

/// The state to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct View {
    pub(super) step: String,
    pub(super) outage: Outage,
    pub(super) conditions: Vec<Condition>,
    /// What the step waits for, if it is known.
    pub(super) waiting: Option<Condition>,
}

impl View {
    /// Returns whether it is something else than before.
    pub(super) fn waits_for(&mut self, obstacle: Obstacle, now: Time) -> bool {
        let Obstacle { reason, message } = obstacle;
        let condition = Condition::new(CONDITION_WAITING, "True", &reason.to_string(), message, now);
        let is_new = self.waiting.as_ref().is_none_or(|shown| shown.message != condition.message);
        if is_new {
            tracing::warn!(%reason, "waiting: {}", condition.message.as_deref().unwrap_or_default());
            // It has waited since the first of its reasons.
            let since = self.waiting.take().map(|shown| shown.last_transition_time);
            let last_transition_time = since.unwrap_or_else(|| condition.last_transition_time.clone());
            self.waiting = Some(Condition { last_transition_time, ..condition });
        }
        is_new
    }
}

/// The step with its number: `7/16 PgUpgraded`.
pub(super) fn numbered(steps: &[Step], step: Step) -> String {
    let number = steps.iter().position(|other| *other == step).map_or(0, |index| index + 1);
    format!("{number}/{} {step}", steps.len())
}

/// Whether the step is shown as failed.
pub(super) fn has_failed(view: &View, step: Step) -> bool {
    condition::find(&view.conditions, &step.to_string()).is_some_and(|it| it.status == "False")
}

/// Puts the view into the request's status; conditions of others stay.
pub(super) fn apply(request: &mut PostgresOpsRequest, view: &View) {
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
    for condition in view.conditions.iter().chain(&view.waiting) {
        condition::set(&mut status.conditions, condition.clone());
    }
}

/// Whether the database accepts writes; `None` if the upgrade has never stopped it. `KubeDB`'s schema has no other place for it.
pub(super) fn outage_condition(outage: &Outage, now: Timestamp, shown: &[Condition]) -> Option<Condition> {
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
pub(super) fn step_condition(record: &Record) -> Option<Condition> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outage::OutageChange;
    use crate::saga::Failure;
    use pgops_api::plan::{Scope, UpgradeKind};

    fn record(second: i64, step: Step, event: Event) -> Record {
        Record { at: Timestamp::from_second(second).unwrap(), step, event, serving_since: None }
    }

    fn request() -> PostgresOpsRequest {
        let request = serde_json::json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "metadata": { "name": "orders-17" },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
        });
        serde_json::from_value(request).unwrap()
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
        let mut request = request();
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
    fn status_says_what_a_step_waits_for_and_since_when_while_it_does() {
        let at = |second| Time(Timestamp::from_second(second).unwrap());
        let obstacle = |message: &str| Obstacle { message: message.to_owned(), ..Obstacle::interlock() };
        let mut view = View::default();
        assert!(view.waits_for(obstacle("0/1 nodes are available"), at(10)));
        assert!(!view.waits_for(obstacle("0/1 nodes are available"), at(15)), "it is known");
        assert!(view.waits_for(obstacle("0/2 nodes are available"), at(20)));
        let mut request = request();
        apply(&mut request, &view);
        let shown = |request: &PostgresOpsRequest| {
            condition::find(&request.status.as_ref().unwrap().conditions, CONDITION_WAITING).cloned()
        };
        let waiting = shown(&request).unwrap();
        assert_eq!(waiting.reason.as_deref(), Some("InterlockHeld"));
        assert_eq!(waiting.message.as_deref(), Some("0/2 nodes are available"));
        assert_eq!(waiting.last_transition_time, at(10));
        view.waiting = None;
        apply(&mut request, &view);
        assert_eq!(shown(&request), None);
    }

    #[test]
    fn step_is_numbered_within_its_upgrade() {
        let minor = Scope::Upgrade.steps(UpgradeKind::Minor);
        assert_eq!(numbered(minor, Step::StopDatabase), "4/9 StopDatabase");
    }

    #[test]
    fn succeeded_step_has_its_name_as_reason() {
        let condition = step_condition(&record(1, Step::PgUpgraded, Event::Succeeded)).unwrap();
        assert_eq!(condition.reason.as_deref(), Some("PgUpgraded"));
        assert!(condition.is_true());
    }
}
