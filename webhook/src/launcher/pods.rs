//! What the pods of a worker say about themselves.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use super::worker::CONTAINER_RUNNER;

/// Longest text taken over from a pod, in bytes.
const MAX_WORDS: usize = 1024;

/// A pod that does not get going.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stuck {
    /// One `CamelCase` word for machines.
    pub reason: &'static str,
    /// What keeps which pod, with the image if it is about one.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Whether the pod may still do something.
pub fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the runner ever ran in the pod.
pub fn runner_began(pod: &Pod) -> bool {
    let began = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
    containers(pod).filter(|container| container.name == CONTAINER_RUNNER).any(|container| {
        container.restart_count > 0
            || [&container.state, &container.last_state].into_iter().flatten().any(began)
    })
}

/// What keeps a pod from starting, if something does.
pub fn stuck(pods: &[Pod]) -> Option<Stuck> {
    pods.iter().filter(|pod| is_alive(pod)).find_map(stuck_pod)
}

fn stuck_pod(pod: &Pod) -> Option<Stuck> {
    let name = pod.name_any();
    let created = pod.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let waiting = containers(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = waiting.reason.as_deref()?;
        let reason = reason_of(why)?;
        let detail = waiting.message.as_deref().unwrap_or("no details");
        let message = format!(
            "container {} of pod {name} cannot start from image {}: {why}: {}",
            container.name,
            container.image,
            shorten(detail)
        );
        Some(Stuck { reason, message, since: created })
    });
    waiting.or_else(|| {
        let conditions = pod.status.as_ref()?.conditions.as_deref()?;
        let unscheduled = conditions.iter().find(|condition| {
            condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
        })?;
        let detail = unscheduled.message.as_deref().unwrap_or("no details");
        let since = unscheduled.last_transition_time.as_ref().map_or(created, |time| time.0);
        let message = format!("no node takes pod {name}: {}", shorten(detail));
        Some(Stuck { reason: "WorkerUnschedulable", message, since })
    })
}

/// The kubelet's words for what does not pass by itself.
fn reason_of(waiting: &str) -> Option<&'static str> {
    match waiting {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some("WorkerImage"),
        "CreateContainerConfigError" | "CreateContainerError" => Some("WorkerConfiguration"),
        _ => None,
    }
}

/// What the container that failed last has left, with its pod's name.
pub fn last_words(pods: &[Pod]) -> Option<String> {
    let mut pods: Vec<&Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
    pods.into_iter().find_map(|pod| {
        let failed = containers(pod).find_map(|container| {
            let ended = container.state.as_ref()?.terminated.as_ref()?;
            (ended.exit_code != 0).then_some((container, ended))
        });
        let (container, ended) = failed?;
        let words = ended.message.as_deref().unwrap_or("no message").trim();
        Some(format!(
            "container {} of pod {} ended with status {}: {}",
            container.name,
            pod.name_any(),
            ended.exit_code,
            shorten(words)
        ))
    })
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let first = status.and_then(|status| status.init_container_statuses.as_ref());
    let then = status.and_then(|status| status.container_statuses.as_ref());
    first.into_iter().chain(then).flatten()
}

/// The end of a text, where errors stand.
fn shorten(text: &str) -> String {
    if text.len() <= MAX_WORDS {
        return text.to_owned();
    }
    let start = text.ceil_char_boundary(text.len() - MAX_WORDS);
    format!("…{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{at, pod};
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::image("ImagePullBackOff", Some("WorkerImage"))]
    #[case::first_try("ErrImagePull", Some("WorkerImage"))]
    #[case::secret("CreateContainerConfigError", Some("WorkerConfiguration"))]
    #[case::pulling("ContainerCreating", None)]
    #[case::init("PodInitializing", None)]
    fn a_waiting_container(#[case] waiting: &str, #[case] reason: Option<&str>) {
        let pod = pod(
            10,
            json!({ "phase": "Pending", "initContainerStatuses": [{
                "name": "stage", "image": "postgres:13", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": waiting, "message": "not found" } },
            }]}),
        );
        let stuck = stuck(&[pod]);
        assert_eq!(stuck.as_ref().map(|stuck| stuck.reason), reason);
        if let Some(stuck) = stuck {
            assert!(stuck.message.contains("postgres:13"), "{}", stuck.message);
            assert!(stuck.message.contains("orders-17-3f9c21aa-x"), "{}", stuck.message);
            assert_eq!(stuck.since, at(10));
        }
    }

    #[test]
    fn a_pod_that_no_node_takes() {
        let pod = pod(
            10,
            json!({ "phase": "Pending", "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available", "lastTransitionTime": "1970-01-01T00:00:20Z",
            }]}),
        );
        let stuck = stuck(&[pod]).unwrap();
        assert_eq!((stuck.reason, stuck.since), ("WorkerUnschedulable", at(20)));
        assert!(stuck.message.contains("0/1 nodes"), "{}", stuck.message);
    }

    #[rstest]
    #[case::waits(json!({ "waiting": { "reason": "PodInitializing" } }), false)]
    #[case::runs(json!({ "running": {} }), true)]
    #[case::ended(json!({ "terminated": { "exitCode": 1 } }), true)]
    fn the_runner_began(#[case] state: serde_json::Value, #[case] began: bool) {
        let pod = pod(
            10,
            json!({ "containerStatuses": [{
                "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }]}),
        );
        assert_eq!(runner_began(&pod), began);
    }

    #[test]
    fn the_last_words_are_those_of_the_youngest_failed_pod() {
        let ended = |second, words: &str| {
            pod(
                second,
                json!({ "phase": "Failed", "containerStatuses": [{
                    "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": { "terminated": { "exitCode": 1, "message": words } },
                }]}),
            )
        };
        let words = last_words(&[ended(10, "old"), ended(20, "new")]).unwrap();
        assert!(words.ends_with("ended with status 1: new"), "{words}");
        let long = format!("{}é{}", "a".repeat(3000), "b".repeat(1023));
        assert!(last_words(&[ended(10, &long)]).unwrap().len() < 1200);
    }
}
