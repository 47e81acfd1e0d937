//! The state of a worker's pods, as their objects report it.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use pgops_api::names::CONTAINER_RUNNER;
use pgops_api::plan::EXIT_ENDED;

use super::worker::CONTAINER_STAGE;

/// Longest text taken from a pod, in bytes.
const MAX_TEXT: usize = 1024;

/// Why a worker does not start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StartProblem {
    /// Reason of a condition or an Event.
    pub reason: &'static str,
    /// What prevents which pod from starting, with the image if the image is the cause.
    pub message: String,
    pub since: Timestamp,
}

/// Whether the pod may still act.
pub fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the runner was ever started in the pod.
pub fn runner_started(pod: &Pod) -> bool {
    let started = |state: &ContainerState| state.running.is_some() || state.terminated.is_some();
    containers(pod).filter(|container| container.name == CONTAINER_RUNNER).any(|container| {
        container.restart_count > 0
            || [&container.state, &container.last_state].into_iter().flatten().any(started)
    })
}

/// Whether the Job of these pods ends without another pod, once its request has ended: a runner that runs is about to
/// exit, or a pod has ended the Job.
pub fn end_their_job(pods: &[Pod]) -> bool {
    pods.iter().any(|pod| match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running" | "Succeeded") => true,
        // As the Job's failure policy has it: the other containers run programs of a database image.
        Some("Failed") => {
            containers(pod).filter(|container| ends_the_job(&container.name)).any(|container| {
                let ended = container.state.as_ref().and_then(|state| state.terminated.as_ref());
                ended.is_some_and(|ended| ended.exit_code == i32::from(EXIT_ENDED))
            })
        }
        _ => false,
    })
}

/// Whether the exit status of a container may end the Job.
fn ends_the_job(container: &str) -> bool {
    [CONTAINER_RUNNER, CONTAINER_STAGE].contains(&container)
}

/// What prevents one of the pods from starting, if anything.
pub fn start_problem(pods: &[Pod]) -> Option<StartProblem> {
    pods.iter()
        .filter(|pod| is_alive(pod))
        .find_map(|pod| container_problem(pod).or_else(|| scheduling_problem(pod)))
}

fn container_problem(pod: &Pod) -> Option<StartProblem> {
    let name = pod.name_any();
    containers(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let why = waiting.reason.as_deref()?;
        let reason = permanent_reason(why)?;
        let detail = waiting.message.as_deref().unwrap_or("no details");
        let message = format!(
            "container {} of pod {name} cannot start from image {}: {why}: {}",
            container.name,
            container.image,
            shorten(detail)
        );
        Some(StartProblem { reason, message, since: created(pod) })
    })
}

fn scheduling_problem(pod: &Pod) -> Option<StartProblem> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let unscheduled = conditions.iter().find(|condition| {
        condition.type_ == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
    })?;
    let detail = unscheduled.message.as_deref().unwrap_or("no details");
    let message = format!("pod {} cannot be scheduled: {}", pod.name_any(), shorten(detail));
    let since = unscheduled.last_transition_time.as_ref().map_or_else(|| created(pod), |time| time.0);
    Some(StartProblem { reason: "WorkerUnschedulable", message, since })
}

fn created(pod: &Pod) -> Timestamp {
    pod.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// Our reason for a waiting reason of the kubelet that does not resolve by itself.
fn permanent_reason(waiting: &str) -> Option<&'static str> {
    match waiting {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some("WorkerImage"),
        // The last two: a sidecar whose image cannot run the agent, for example one for another processor.
        "CreateContainerConfigError" | "CreateContainerError" | "CrashLoopBackOff" | "RunContainerError" => {
            Some("WorkerConfiguration")
        }
        _ => None,
    }
}

/// The termination message of the container that failed last, with its pod and status.
pub fn failure_message<'a>(pods: &'a [Pod]) -> Option<String> {
    let mut pods: Vec<&'a Pod> = pods.iter().collect();
    pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
    pods.into_iter().find_map(|pod| {
        let failed = |container: &'a ContainerStatus| {
            let ended = container.state.as_ref()?.terminated.as_ref()?;
            (ended.exit_code != 0).then_some((container, ended))
        };
        // The runner says why it has failed; how the sidecars end after it says nothing.
        let (of_main, others): (Vec<_>, Vec<_>) =
            containers(pod).partition(|container| container.name == CONTAINER_RUNNER);
        let (container, ended) = of_main.into_iter().chain(others).find_map(failed)?;
        let text = ended.message.as_deref().unwrap_or("no message").trim();
        Some(format!(
            "container {} of pod {} exited with status {}: {}",
            container.name,
            pod.name_any(),
            ended.exit_code,
            shorten(text)
        ))
    })
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

/// The end of a long text: that is where errors are.
fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let start = text.ceil_char_boundary(text.len() - MAX_TEXT);
    format!("…{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::at;
    use crate::launcher::fixtures::pods::{failed, pod};
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::image("ImagePullBackOff", Some("WorkerImage"))]
    #[case::first_try("ErrImagePull", Some("WorkerImage"))]
    #[case::secret("CreateContainerConfigError", Some("WorkerConfiguration"))]
    #[case::sidecar("CrashLoopBackOff", Some("WorkerConfiguration"))]
    #[case::pulling("ContainerCreating", None)]
    #[case::init("PodInitializing", None)]
    fn waiting_container_is_a_problem_if_permanent(#[case] waiting: &str, #[case] reason: Option<&str>) {
        let pod = pod(
            10,
            json!({ "phase": "Pending", "initContainerStatuses": [{
                "name": "stage", "image": "postgres:13", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "waiting": { "reason": waiting, "message": "not found" } },
            }]}),
        );
        let problem = start_problem(&[pod]);
        assert_eq!(problem.as_ref().map(|problem| problem.reason), reason);
        if let Some(problem) = problem {
            assert!(problem.message.contains("postgres:13"), "{}", problem.message);
            assert!(problem.message.contains("orders-17-3f9c21aa-x"), "{}", problem.message);
            assert_eq!(problem.since, at(10));
        }
    }

    #[test]
    fn unschedulable_pod_is_a_problem() {
        let pod = pod(
            10,
            json!({ "phase": "Pending", "conditions": [{
                "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                "message": "0/1 nodes are available", "lastTransitionTime": "1970-01-01T00:00:20Z",
            }]}),
        );
        let problem = start_problem(&[pod]).unwrap();
        assert_eq!((problem.reason, problem.since), ("WorkerUnschedulable", at(20)));
        assert!(problem.message.contains("0/1 nodes"), "{}", problem.message);
    }

    #[rstest]
    #[case::waits(json!({ "waiting": { "reason": "PodInitializing" } }), false)]
    #[case::runs(json!({ "running": {} }), true)]
    #[case::ended(json!({ "terminated": { "exitCode": 1 } }), true)]
    fn runner_started_if_its_container_ran(#[case] state: serde_json::Value, #[case] started: bool) {
        let pod = pod(
            10,
            json!({ "containerStatuses": [{
                "name": "runner", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }]}),
        );
        assert_eq!(runner_started(&pod), started);
    }

    #[test]
    fn failure_message_is_of_the_youngest_failed_pod() {
        let message = failure_message(&[failed(10, 1, "old"), failed(20, 1, "new")]).unwrap();
        assert!(message.ends_with("exited with status 1: new"), "{message}");
        let long = format!("{}é{}", "a".repeat(3000), "b".repeat(1023));
        assert!(failure_message(&[failed(10, 1, &long)]).unwrap().len() < 1200);
    }
}
