//! The state of a database's pod, as the kubelet reports it.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::names;
use pgops_kube::broken_pod::broken_pod;
use pgops_kube::node_affinity;
use pgops_kube::observed::{container_statuses, ready};

use super::pod_version::PodVersion;

/// The state of a database's pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PodState {
    Missing,
    /// It is starting or ending.
    Waiting,
    /// It answers at this address.
    Ready {
        ip: String,
    },
    /// Waiting will not bring it up.
    Broken {
        /// What the kubelet reports.
        reason: String,
    },
}

/// The state of the pod, as one of that version. `revision` is that of the workload's template, if it is the version's.
pub(super) fn state(pod: &Pod, version: &PodVersion, revision: Option<&str>) -> PodState {
    if is_being_deleted(pod) || !version.has_made(pod, revision) {
        return PodState::Waiting;
    }
    if let Some(ip) = ready_ip(pod) {
        return PodState::Ready { ip: ip.to_owned() };
    }
    broken_pod(pod).map_or(PodState::Waiting, |reason| PodState::Broken { reason })
}

/// The address of the pod, if it is ready.
pub(super) fn ready_ip(pod: &Pod) -> Option<&str> {
    ready(pod)?;
    pod.status.as_ref()?.pod_ip.as_deref()
}

/// Whether the pod is being deleted: it may still run.
pub(super) fn is_being_deleted(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the container of the server runs.
pub(super) fn runs_server(pod: &Pod) -> bool {
    let server = container_statuses(pod).find(|container| container.name == names::CONTAINER_POSTGRES);
    server.and_then(|server| server.state.as_ref()).is_some_and(|state| state.running.is_some())
}

/// How often the containers of the pod were started again.
pub(super) fn restarts(pod: &Pod) -> i32 {
    container_statuses(pod).map(|container| container.restart_count).sum()
}

/// Since when the pod has been ready, if it is and is not being deleted.
#[must_use]
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    if is_being_deleted(pod) {
        return None;
    }
    let condition = ready(pod)?;
    condition.last_transition_time.as_ref().map(|time| time.0)
}

/// Whether the pod does not answer, and runs on another node than `node` or requires one: an earlier worker ran there.
#[must_use]
pub fn waits_for_another_node(pod: &Pod, node: &str) -> bool {
    let on = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.as_deref().or_else(|| node_affinity::required_node(spec)));
    on.is_some_and(|on| on != node) && ready(pod).is_none()
}

/// Whether the pod's last process has ended permanently, though the object may exist for a moment longer.
///
/// The kubelet gives a pod that is being deleted its last phase once all containers have ended and none of them
/// is started again. Controllers give it that phase too, when they have lost contact with its node; the states of the
/// containers come from the kubelet alone.
#[must_use]
pub fn has_ended(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let is_last = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    let containers = status.container_statuses.as_deref().unwrap_or_default();
    let mut each = containers.iter().map(|container| container.state.as_ref());
    is_being_deleted(pod)
        && is_last
        && !containers.is_empty()
        && each.all(|state| state.is_some_and(|state| state.terminated.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::pod_version::ToldBy;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use pgops_kube::broken_pod::is_backing_off;
    use serde_json::json;

    fn pod(image: &str, status: &serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "orders-0" },
            "spec": { "containers": [{ "name": "postgres", "image": image }] },
            "status": status,
        }))
        .unwrap()
    }

    /// The state of the pod as one with that image.
    fn state(pod: &Pod, image: &str) -> PodState {
        let version = PodVersion { major: 17, image: image.to_owned(), told_by: ToldBy::Template };
        super::state(pod, &version, None)
    }

    #[test]
    fn pod_that_requires_an_earlier_workers_node_waits_for_it() {
        let mut pod = pod("postgres:17.11", &json!({}));
        assert!(!waits_for_another_node(&pod, "here"), "it requires none");
        pod.spec.as_mut().unwrap().affinity = node_affinity::with_required_node(None, Some("there"));
        assert!(waits_for_another_node(&pod, "here") && !waits_for_another_node(&pod, "there"));
        pod.status = serde_json::from_value(ready()).unwrap();
        assert!(!waits_for_another_node(&pod, "here"), "it answers");
    }

    fn ready() -> serde_json::Value {
        json!({ "podIP": "10.0.0.7", "conditions": [{ "type": "Ready", "status": "True" }] })
    }

    #[test]
    fn ready_pod_with_the_image_has_an_address() {
        assert_eq!(state(&pod("pg:17", &ready()), "pg:17"), PodState::Ready { ip: "10.0.0.7".into() });
    }

    #[test]
    fn pod_that_is_being_deleted_is_ready_since_no_time() {
        let ready = |status: &str| {
            let ready =
                json!({ "type": "Ready", "status": status, "lastTransitionTime": "2026-02-03T04:05:06Z" });
            pod("pg:17", &json!({ "conditions": [ready] }))
        };
        assert_eq!(ready_since(&ready("True")), "2026-02-03T04:05:06Z".parse().ok());
        assert_eq!(ready_since(&ready("False")), None);
        let mut deleted = ready("True");
        deleted.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        assert_eq!(ready_since(&deleted), None);
    }

    #[test]
    fn ready_pod_with_another_image_is_not_the_awaited_one() {
        assert_eq!(state(&pod("pg:13", &ready()), "pg:17"), PodState::Waiting);
    }

    #[test]
    fn pod_has_ended_once_every_container_is_terminated() {
        let ended = |deleted: bool, phase: &str, state: &serde_json::Value| {
            let containers = json!([{
                "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }]);
            let mut pod = pod("pg:13", &json!({ "phase": phase, "containerStatuses": containers }));
            let now = jiff::Timestamp::UNIX_EPOCH;
            pod.metadata.deletion_timestamp = deleted.then(|| now.into());
            has_ended(&pod)
        };
        let terminated = json!({ "terminated": { "exitCode": 0 } });
        let running = json!({ "running": {} });
        assert!(ended(true, "Succeeded", &terminated));
        assert!(!ended(true, "Running", &terminated), "it may be started again");
        assert!(!ended(true, "Failed", &running), "a controller has lost contact with its node");
        assert!(!ended(false, "Failed", &terminated), "it is not being deleted");
    }

    #[test]
    fn image_that_cannot_be_pulled_is_not_waited_for() {
        let status = json!({ "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } },
        }] });
        let PodState::Broken { reason } = state(&pod("pg:17", &status), "pg:17") else { panic!("waits") };
        assert!(reason.contains("no such image"), "{reason}");
    }

    fn restarted(state: &serde_json::Value) -> Pod {
        let status = json!({ "containerStatuses": [{
            "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 3, "state": state,
        }] });
        pod("pg:17", &status)
    }

    #[test]
    fn crash_looping_container_is_not_waited_for() {
        let between = [
            json!({}),
            json!({ "terminated": { "exitCode": 1 } }),
            json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
        ];
        for between in between {
            let pod = restarted(&between);
            assert!(matches!(state(&pod, "pg:17"), PodState::Broken { .. }), "{between}");
            assert_eq!(is_backing_off(&pod), between["waiting"].is_object(), "{between}");
        }
    }

    #[test]
    fn restarted_container_that_runs_is_waited_for_and_kept() {
        let pod = restarted(&json!({ "running": {} }));
        assert_eq!((state(&pod, "pg:17"), is_backing_off(&pod)), (PodState::Waiting, false));
    }
}
