//! The Events on a database, for `kubectl describe`: one for each change of its state, and none while it stays the same.

use kube::runtime::events::EventType;
use pgops_api::Condition;
use pgops_api::condition::find;
use pgops_api::postgres::{CONDITION_PAUSED, CONDITION_PROVISIONED, CONDITION_READY, PostgresStatus};

use crate::condition_types::{
    CONDITION_HALTED, CONDITION_PROVISIONING_STARTED, CONDITION_RESTART_PENDING, CONDITION_STORAGE_RESIZING,
    PROBLEMS, REASON_DELETING,
};

/// One Event on a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Announcement {
    pub type_: EventType,
    pub reason: String,
    pub note: String,
}

impl Announcement {
    pub fn normal(reason: &str, note: impl Into<String>) -> Self {
        Self { type_: EventType::Normal, reason: reason.to_owned(), note: note.into() }
    }

    pub fn warning(reason: &str, note: impl Into<String>) -> Self {
        Self { type_: EventType::Warning, reason: reason.to_owned(), note: note.into() }
    }

    fn of(condition: &Condition, type_: EventType) -> Self {
        let reason = condition.reason.clone().unwrap_or_default();
        Self { type_, reason, note: condition.message.clone().unwrap_or_default() }
    }
}

/// What is announced when one status follows another.
pub fn announcements(before: &PostgresStatus, after: &PostgresStatus) -> Vec<Announcement> {
    let mut all: Vec<_> =
        PROBLEMS.iter().filter_map(|(type_, bad)| problem(before, after, type_, bad)).collect();
    all.extend(readiness(before, after));
    all.extend(newly_true(before, after, CONDITION_PROVISIONED));
    all.extend(newly_true(before, after, CONDITION_HALTED));
    all.extend(storage(before, after));
    all.extend(version(before, after));
    all
}

/// A condition that reports a problem, unless the previous status reported the same.
fn problem(before: &PostgresStatus, after: &PostgresStatus, type_: &str, bad: &str) -> Option<Announcement> {
    let new = find(&after.conditions, type_).filter(|new| new.status == bad)?;
    let old = find(&before.conditions, type_);
    if old.is_some_and(|old| old.status == new.status && old.message == new.message) {
        return None;
    }
    let mut announcement = Announcement::of(new, EventType::Warning);
    if type_ == CONDITION_RESTART_PENDING {
        // It was requested.
        announcement = Announcement::normal(type_, announcement.note);
    }
    Some(announcement)
}

/// The end of readiness, its return, and while it is missing each other reason for that.
fn readiness(before: &PostgresStatus, after: &PostgresStatus) -> Option<Announcement> {
    // What every start passes through, and what a pause or a halt explains.
    const EXPECTED: [&str; 3] = ["NotBuilt", "NotReady", "Stopped"];
    let new = find(&after.conditions, CONDITION_READY)?;
    let old = find(&before.conditions, CONDITION_READY);
    let was_ready = old.is_some_and(Condition::is_true);
    if new.is_true() {
        return (!was_ready).then(|| Announcement::of(new, EventType::Normal));
    }
    let reason = new.reason.as_deref().unwrap_or_default();
    // The removal announces itself.
    if reason == REASON_DELETING {
        return None;
    }
    let is_paused = find(&after.conditions, CONDITION_PAUSED).is_some_and(Condition::is_true);
    // The build error is announced itself.
    let started = find(&after.conditions, CONDITION_PROVISIONING_STARTED);
    let is_announced = started.is_some_and(|started| !started.is_true() && started.reason == new.reason);
    let is_other_reason = old.is_none_or(|old| old.reason != new.reason) && !EXPECTED.contains(&reason);
    let type_ = if is_paused || reason == "Stopped" { EventType::Normal } else { EventType::Warning };
    (was_ready || (is_other_reason && !is_announced)).then(|| Announcement::of(new, type_))
}

fn newly_true(before: &PostgresStatus, after: &PostgresStatus, type_: &str) -> Option<Announcement> {
    let new = find(&after.conditions, type_).filter(|new| new.is_true())?;
    let was_true = find(&before.conditions, type_).is_some_and(Condition::is_true);
    (!was_true).then(|| Announcement::of(new, EventType::Normal))
}

fn storage(before: &PostgresStatus, after: &PostgresStatus) -> Option<Announcement> {
    let old = find(&before.conditions, CONDITION_STORAGE_RESIZING);
    match (old, find(&after.conditions, CONDITION_STORAGE_RESIZING)) {
        (Some(_), None) => {
            Some(Announcement::normal("StorageResized", "the volume is as large as spec.storage requests"))
        }
        (old, Some(new)) if new.is_true() && old.is_none_or(|old| old.reason != new.reason) => {
            Some(Announcement::of(new, EventType::Normal))
        }
        _ => None,
    }
}

fn version(before: &PostgresStatus, after: &PostgresStatus) -> Option<Announcement> {
    let old = before.server.as_ref()?.version.as_ref()?;
    let new = after.server.as_ref()?.version.as_ref()?;
    let note = || format!("the server is PostgreSQL {new}; it was {old}");
    (old != new).then(|| Announcement::normal("VersionChanged", note()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn status(conditions: &[(&str, &str, &str)], version: Option<&str>) -> PostgresStatus {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|(type_, status, reason)| {
                json!({ "type": type_, "status": status, "reason": reason, "message": format!("because {reason}"),
                    "lastTransitionTime": "2026-11-20T10:00:00Z" })
            })
            .collect();
        let server = version.map(|version| json!({ "pod": "orders-0", "version": version }));
        serde_json::from_value(json!({ "conditions": conditions, "server": server })).unwrap()
    }

    fn reasons(before: &[(&str, &str, &str)], after: &[(&str, &str, &str)]) -> Vec<(EventType, String)> {
        let (before, after) = (status(before, None), status(after, None));
        assert_eq!(announcements(&after, &after), [], "nothing changed");
        announcements(&before, &after).into_iter().map(|it| (it.type_, it.reason)).collect()
    }

    #[rstest]
    #[case::created(&[], &[("Ready", "False", "NotReady")], &[])]
    #[case::first_answer(
        &[("Ready", "False", "NotReady")], &[("Ready", "True", "Ready"), ("Provisioned", "True", "Provisioned")],
        &[(EventType::Normal, "Ready"), (EventType::Normal, "Provisioned")]
    )]
    #[case::pod_refused(
        &[("Ready", "False", "NotReady")], &[("Ready", "False", "PodRefused")], &[(EventType::Warning, "PodRefused")]
    )]
    #[case::lost(&[("Ready", "True", "Ready")], &[("Ready", "False", "NotReady")], &[(EventType::Warning, "NotReady")])]
    #[case::stopped(&[("Ready", "True", "Ready")], &[("Ready", "False", "Stopped")], &[(EventType::Normal, "Stopped")])]
    #[case::upgraded(
        &[("Ready", "True", "Ready"), ("Paused", "True", "Paused")],
        &[("Ready", "False", "NotReady"), ("Paused", "True", "Paused")], &[(EventType::Normal, "NotReady")]
    )]
    #[case::refused_children(
        &[], &[("ProvisioningStarted", "False", "ReconcileFailed"), ("Ready", "False", "ReconcileFailed")],
        &[(EventType::Warning, "ReconcileFailed")]
    )]
    #[case::deleted(&[("Ready", "True", "Ready")], &[("Ready", "False", "Deleting")], &[])]
    #[case::not_removed(
        &[("Ready", "False", "Deleting")],
        &[("Ready", "False", "Deleting"), ("DeletionBlocked", "True", "DeletionRefused")],
        &[(EventType::Warning, "DeletionRefused")]
    )]
    #[case::halted(&[], &[("Halted", "True", "Halted")], &[(EventType::Normal, "Halted")])]
    #[case::restart(&[], &[("RestartPending", "True", "PodOutdated")], &[(EventType::Normal, "RestartPending")])]
    #[case::secret_is_being_checked(&[], &[("SettingsRejected", "False", "SettingsBeingChecked")], &[])]
    #[case::secret_cannot_be_checked(
        &[("SettingsRejected", "False", "SettingsBeingChecked")],
        &[("SettingsRejected", "Unknown", "SettingsNotChecked")], &[(EventType::Warning, "SettingsNotChecked")]
    )]
    #[case::resizing(&[], &[("StorageResizing", "True", "Resizing")], &[(EventType::Normal, "Resizing")])]
    #[case::resized(&[("StorageResizing", "True", "Resizing")], &[], &[(EventType::Normal, "StorageResized")])]
    #[case::cannot_resize(
        &[], &[("StorageResizing", "False", "ExpansionNotAllowed")], &[(EventType::Warning, "ExpansionNotAllowed")]
    )]
    fn each_change_is_announced_once(
        #[case] before: &[(&str, &str, &str)],
        #[case] after: &[(&str, &str, &str)],
        #[case] expected: &[(EventType, &str)],
    ) {
        let expected: Vec<_> =
            expected.iter().map(|(type_, reason)| (*type_, (*reason).to_owned())).collect();
        assert_eq!(reasons(before, after), expected);
    }

    #[test]
    fn other_version_of_the_server_is_announced() {
        let change = |before: Option<&str>, after: Option<&str>| {
            let all = announcements(&status(&[], before), &status(&[], after));
            all.into_iter().map(|it| it.note).collect::<Vec<_>>()
        };
        assert_eq!(change(Some("13.16"), Some("13.23")), ["the server is PostgreSQL 13.23; it was 13.16"]);
        assert!(change(None, Some("13.23")).is_empty() && change(Some("13.23"), None).is_empty());
    }
}
