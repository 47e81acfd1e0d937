//! The state of a worker's pods, as their objects report it.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use pgops_api::names::{self, CONTAINER_RUNNER};
use pgops_api::plan::EXIT_ENDED;
use pgops_kube::observed::{self, container_statuses, has_started};

use super::worker::CONTAINER_STAGE;

/// Longest text taken from a pod, in bytes.
const MAX_TEXT: usize = 1024;

/// The service account of a worker's Job; none for the Job of another user.
pub fn account_of_job(job: &Job) -> Option<&str> {
    let account = job.spec.as_ref()?.template.spec.as_ref()?.service_account_name.as_deref()?;
    account.starts_with(names::WORKER_PREFIX).then_some(account)
}

/// Name of the Job of a worker's pod. The labels by which pods are found do not tell: any pod may have them.
pub fn job_of_worker(pod: &Pod) -> Option<&str> {
    let account = pod.spec.as_ref()?.service_account_name.as_deref()?;
    let job = controller_of(pod).filter(|owner| owner.kind == Job::kind(&()))?;
    account.starts_with(names::WORKER_PREFIX).then_some(job.name.as_str())
}

fn controller_of(pod: &Pod) -> Option<&OwnerReference> {
    pod.owner_references().iter().find(|owner| owner.controller == Some(true))
}

/// Whether the pod may still act.
pub fn is_alive(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether the server or the runner in the pod is ready.
pub fn is_ready(pod: &Pod) -> bool {
    observed::ready(pod).is_some()
}

/// When the pod was created.
pub fn created(pod: &Pod) -> Timestamp {
    pod.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// How the runner of a pod has ended. The pod may outlive it: another admission controller may have added a container that
/// never ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RunnerEnd {
    pub result: RunnerResult,
    pub at: Timestamp,
}

/// What the exit status of a runner says about its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunnerResult {
    /// It has ended with success.
    Completed,
    /// It has ended without success.
    Ended,
    /// It has not ended: the next pod continues.
    Interrupted,
}

/// How the runner of the pod has ended, if it has.
pub fn runner_end(pod: &Pod) -> Option<RunnerEnd> {
    let runner = container_statuses(pod).find(|container| container.name == CONTAINER_RUNNER)?;
    let ended = runner.state.as_ref()?.terminated.as_ref()?;
    let result = match ended.exit_code {
        0 => RunnerResult::Completed,
        code if code == i32::from(EXIT_ENDED) => RunnerResult::Ended,
        _ => RunnerResult::Interrupted,
    };
    Some(RunnerEnd { result, at: ended.finished_at.as_ref().map_or_else(|| created(pod), |time| time.0) })
}

/// Whether the runner was ever started in the pod.
pub fn runner_started(pod: &Pod) -> bool {
    container_statuses(pod).filter(|container| container.name == CONTAINER_RUNNER).any(|container| {
        container.restart_count > 0
            || [&container.state, &container.last_state].into_iter().flatten().any(has_started)
    })
}

/// Whether the Job of these pods ends without another pod, once its request has ended: a runner that runs is about to
/// exit, or a pod has ended the Job.
pub fn end_their_job(pods: &[Pod]) -> bool {
    pods.iter().any(|pod| match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Running" | "Succeeded") => true,
        // As the Job's failure policy has it: the other containers run programs of a database image.
        Some("Failed") => {
            container_statuses(pod).filter(|container| ends_the_job(&container.name)).any(|container| {
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
            container_statuses(pod).partition(|container| container.name == CONTAINER_RUNNER);
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
    use crate::launcher::fixtures::pods::{failed, pod, runner_ended};
    use rstest::rstest;
    use serde_json::json;

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

    #[rstest]
    #[case::success(0, RunnerResult::Completed)]
    #[case::failure(42, RunnerResult::Ended)]
    #[case::killed(137, RunnerResult::Interrupted)]
    fn runner_end_is_told_while_another_container_runs(#[case] exit_code: i32, #[case] result: RunnerResult) {
        let pod = runner_ended(10, exit_code, 20);
        assert!(is_alive(&pod));
        assert_eq!(runner_end(&pod), Some(RunnerEnd { result, at: at(20) }));
        assert_eq!(runner_end(&crate::launcher::fixtures::pods::running(10)), None);
    }

    #[test]
    fn failure_message_is_of_the_youngest_failed_pod() {
        let message = failure_message(&[failed(10, 1, "old"), failed(20, 1, "new")]).unwrap();
        assert!(message.ends_with("exited with status 1: new"), "{message}");
        let long = format!("{}é{}", "a".repeat(3000), "b".repeat(1023));
        assert!(failure_message(&[failed(10, 1, &long)]).unwrap().len() < 1200);
    }
}
