//! What the pod that checks settings says: a pure function of the pod and its Events.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Event, Pod};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::settings::REJECTED_STATUS;
use pgops_api::{bounded, names};
use pgops_kube::lost_pod;
use pgops_kube::pod_problem::start_problem;

use crate::settings_check::SettingsCheck;

/// Longest text of another component, in bytes.
const MAX_TEXT: usize = 1024;
/// Time after which settings that were accepted are checked again, as long as no pod of the database has them: the contents of
/// the Secret may have changed.
const RECHECK: SignedDuration = SignedDuration::from_mins(15);
/// Time that a pod may take to start without anyone who says why, and before one that a node has given up is replaced.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// What is to be made of the pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckState {
    Known(SettingsCheck),
    /// It says nothing any more: another one has to check.
    Again,
}

/// What the state of the pod says.
pub fn check_state(pod: &Pod, events: &[Event], now: Timestamp) -> CheckState {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if let Some(ended) = container(pod).and_then(ended) {
        if ended.exit_code == 0 {
            let at = ended.finished_at.as_ref().map(|time| time.0);
            let is_old = at.is_some_and(|at| now.duration_since(at) >= RECHECK);
            return if is_old { CheckState::Again } else { CheckState::Known(SettingsCheck::Accepted) };
        }
        if ended.exit_code == i32::from(REJECTED_STATUS) && phase != Some("Failed") {
            let words = ended.message.as_deref().map(str::trim).filter(|words| !words.is_empty());
            let words = bounded(words.unwrap_or("no details"), MAX_TEXT, "");
            return CheckState::Known(SettingsCheck::Rejected(words));
        }
    }
    let age = pod.creation_timestamp().map(|created| now.duration_since(created.0));
    if phase == Some("Failed") {
        let is_due = age.is_none_or(|age| age >= PATIENCE);
        return if is_due {
            CheckState::Again
        } else {
            CheckState::Known(SettingsCheck::Blocked(failure(pod)))
        };
    }
    if lost_pod(pod, now).is_some() {
        return CheckState::Again;
    }
    if let Some(problem) = start_problem(pod, events) {
        return CheckState::Known(SettingsCheck::Blocked(bounded(problem.message, MAX_TEXT, "")));
    }
    let is_late = age.is_some_and(|age| age >= PATIENCE);
    CheckState::Known(if is_late {
        let minutes = PATIENCE.as_mins();
        let words = format!("pod {} has said nothing within {minutes} minutes", pod.name_any());
        SettingsCheck::Blocked(words)
    } else {
        SettingsCheck::Running
    })
}

/// Why its node has given it up.
fn failure(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let reason = status.reason.unwrap_or_else(|| "Failed".to_owned());
    let words =
        format!("pod {} has failed: {reason}: {}", pod.name_any(), status.message.unwrap_or_default());
    bounded(words, MAX_TEXT, "")
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|container| container.name == names::CONTAINER_SETTINGS_CHECK)
}

/// The end of the container, or of the one before it: that is started again to wait for a change.
fn ended(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let states = [container.state.as_ref(), container.last_state.as_ref()];
    states.into_iter().flatten().find_map(|state| state.terminated.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    const NOW: i64 = 10_000;

    fn known(status: Value, created: i64) -> CheckState {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "orders-settings-check", "creationTimestamp": at(created).to_string() },
            "spec": { "nodeName": "node-1", "containers": [] },
        }))
        .unwrap();
        pod.status = serde_json::from_value(status).unwrap();
        check_state(&pod, &[], at(NOW))
    }

    fn status(phase: &str, state: Value, last: Value) -> Value {
        let mut container =
            json!({ "name": "check", "image": "pg:17", "imageID": "", "ready": false, "restartCount": 1 });
        container["state"] = state;
        container["lastState"] = last;
        json!({ "phase": phase, "containerStatuses": [container] })
    }

    fn terminated(code: i32, message: &str, age: i64) -> Value {
        let at = Timestamp::from_second(NOW - age).unwrap().to_string();
        json!({ "terminated": { "exitCode": code, "message": message, "finishedAt": at } })
    }

    #[test]
    fn settings_are_accepted_for_a_while() {
        let accepted = |age| known(status("Succeeded", terminated(0, "", age), json!({})), NOW - age);
        assert_eq!(accepted(60), CheckState::Known(SettingsCheck::Accepted));
        assert_eq!(accepted(900), CheckState::Again);
    }

    #[rstest]
    #[case::just_now(terminated(3, "no such value\n", 1), json!({}))]
    #[case::and_waits_for_a_change(json!({ "running": {} }), terminated(3, "no such value", 600))]
    #[case::and_will_wait(json!({ "waiting": { "reason": "CrashLoopBackOff" } }), terminated(3, "no such value", 9))]
    fn settings_stay_rejected_until_the_next_check(#[case] state: Value, #[case] last: Value) {
        let expected = CheckState::Known(SettingsCheck::Rejected("no such value".to_owned()));
        assert_eq!(known(status("Running", state, last), 0), expected);
    }

    #[test]
    fn pod_that_cannot_check_says_why() {
        let crash = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
        let last = terminated(1, "failed to find PostgreSQL 17 in this image", 9);
        let CheckState::Known(SettingsCheck::Blocked(words)) = known(status("Running", crash, last), NOW)
        else {
            panic!("not blocked")
        };
        assert!(words.contains("failed to find PostgreSQL 17"), "{words}");
        let pending = || json!({ "phase": "Pending" });
        assert_eq!(known(pending(), NOW - 119), CheckState::Known(SettingsCheck::Running));
        let late = CheckState::Known(SettingsCheck::Blocked(
            "pod orders-settings-check has said nothing within 2 minutes".to_owned(),
        ));
        assert_eq!(known(pending(), NOW - 120), late);
    }

    #[test]
    fn evicted_pod_is_told_and_replaced_after_a_while() {
        let evicted = || json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" });
        let told = "pod orders-settings-check has failed: Evicted: low on memory".to_owned();
        assert_eq!(known(evicted(), NOW - 119), CheckState::Known(SettingsCheck::Blocked(told)));
        assert_eq!(known(evicted(), NOW - 120), CheckState::Again);
        let rejected = status("Failed", terminated(3, "no such value", 1), json!({}));
        assert_eq!(known(rejected, NOW - 120), CheckState::Again, "no check would notice a corrected Secret");
    }

    #[test]
    fn missing_secret_is_told_by_the_kubelet() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "orders-settings-check" }, "status": { "phase": "Pending" },
        }))
        .unwrap();
        let event = serde_json::from_value(json!({
            "metadata": { "name": "e" }, "involvedObject": {}, "type": "Warning", "reason": "FailedMount",
            "message": "references non-existent secret key: user.conf", "lastTimestamp": "2026-11-20T10:00:00Z",
        }))
        .unwrap();
        let CheckState::Known(SettingsCheck::Blocked(words)) =
            check_state(&pod, &[event], Timestamp::UNIX_EPOCH)
        else {
            panic!("not blocked")
        };
        assert!(words.contains("non-existent secret key: user.conf"), "{words}");
    }
}
