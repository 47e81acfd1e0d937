//! What to do about the database's pod while a version is waited for.

use k8s_openapi::api::core::v1::Pod;

use super::pod::{self, PodState};
use super::pod_version::{self, PodVersion};

/// What to do about a pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PodAction {
    /// Its server answers at this address.
    Use { ip: String },
    /// It will not run the version, or not where it must, or as its template is now: another one takes its place.
    Replace,
    /// It is starting or ending.
    Wait,
    /// Whether it is of the version is known once the controller has observed the template.
    AwaitController,
    /// It will not come up by waiting alone.
    Fail { reason: String },
}

/// Decides that. `revision` is that of the workload's template, which is the version's, if the controller has observed it;
/// `node` is where the pod must run.
pub fn decide(pod: &Pod, version: &PodVersion, revision: Option<&str>, node: Option<&str>) -> PodAction {
    if pod::is_being_deleted(pod) {
        return PodAction::Wait;
    }
    if !version.has_made(pod, revision) {
        let is_unknown = revision.is_none() && version.needs_revision(pod);
        return if is_unknown { PodAction::AwaitController } else { PodAction::Replace };
    }
    let state = pod::state(pod, version, revision);
    if let PodState::Ready { ip } = state {
        return PodAction::Use { ip };
    }
    if node.is_some_and(|node| pod::waits_for_another_node(pod, node)) {
        return PodAction::Replace;
    }
    // Its template was corrected since, a node selector for example: the controller does not replace it.
    if revision.is_some_and(|revision| !pod_version::is_of(pod, revision)) && !pod::runs_server(pod) {
        return PodAction::Replace;
    }
    match state {
        PodState::Broken { reason } => PodAction::Fail { reason },
        PodState::Missing | PodState::Waiting | PodState::Ready { .. } => PodAction::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod_version::ToldBy;
    use serde_json::{Value, json};

    const MIRROR: &str = "mirror.example/postgres@sha256:13";

    fn pod(image: &str, major: u32, revision: &str, status: &Value) -> Pod {
        let env = json!([{ "name": "PGDATA", "value": format!("/var/pv/{major}/data") }]);
        serde_json::from_value(json!({
            "metadata": { "name": "orders-0", "labels": { "controller-revision-hash": revision } },
            "spec": { "containers": [{ "name": "postgres", "image": image, "env": env }] },
            "status": status,
        }))
        .unwrap()
    }

    fn ready() -> Value {
        json!({ "podIP": "10.0.0.7", "conditions": [{ "type": "Ready", "status": "True" }] })
    }

    fn container(state: &Value, restarts: i32) -> Value {
        json!({ "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
        }] })
    }

    fn minor() -> PodVersion {
        PodVersion { major: 13, image: "postgres:13.23".into(), told_by: ToldBy::Template }
    }

    fn major() -> PodVersion {
        PodVersion { major: 17, image: "postgres:17.11".into(), told_by: ToldBy::DataDirectory }
    }

    fn used() -> PodAction {
        PodAction::Use { ip: "10.0.0.7".to_owned() }
    }

    #[test]
    fn pod_with_a_rewritten_image_is_used_and_not_replaced() {
        let current = pod(MIRROR, 13, "orders-2", &ready());
        assert_eq!(decide(&current, &minor(), Some("orders-2"), None), used());
        assert_eq!(decide(&current, &minor(), None, None), PodAction::AwaitController);
        let older = pod(MIRROR, 13, "orders-1", &ready());
        assert_eq!(decide(&older, &minor(), Some("orders-2"), None), PodAction::Replace);
        let upgraded = pod(MIRROR, 17, "orders-1", &ready());
        assert_eq!(decide(&upgraded, &major(), Some("orders-2"), None), used(), "it serves the version");
        let old = pod("postgres:17.11", 13, "orders-2", &ready());
        assert_eq!(decide(&old, &major(), None, None), PodAction::Replace);
    }

    #[test]
    fn pod_that_does_not_start_is_replaced_once_its_template_was_corrected() {
        let pending = pod("postgres:17.11", 17, "orders-1", &json!({ "phase": "Pending" }));
        assert_eq!(decide(&pending, &major(), Some("orders-1"), None), PodAction::Wait);
        assert_eq!(decide(&pending, &major(), None, None), PodAction::Wait);
        assert_eq!(decide(&pending, &major(), Some("orders-2"), None), PodAction::Replace);
        let recovering = pod("postgres:17.11", 17, "orders-1", &container(&json!({ "running": {} }), 0));
        assert_eq!(decide(&recovering, &major(), Some("orders-2"), None), PodAction::Wait);
    }

    #[test]
    fn pod_that_is_being_deleted_is_waited_for() {
        let mut deleted = pod("postgres:13.16", 13, "orders-1", &ready());
        deleted.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-20T10:00:00Z")).unwrap();
        assert_eq!(decide(&deleted, &minor(), Some("orders-2"), None), PodAction::Wait);
    }

    #[test]
    fn crash_looping_pod_of_the_current_template_fails() {
        let looping = pod(
            MIRROR,
            13,
            "orders-2",
            &container(&json!({ "waiting": { "reason": "CrashLoopBackOff" } }), 3),
        );
        assert!(matches!(decide(&looping, &minor(), Some("orders-2"), None), PodAction::Fail { .. }));
    }
}
