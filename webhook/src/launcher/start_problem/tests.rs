use super::*;
use crate::launcher::fixtures::events::{refused, warning};
use crate::launcher::fixtures::pods::{creating, failed, pod, running, waiting};
use crate::launcher::fixtures::{at, jobs};
use rstest::rstest;
use serde_json::json;

fn problem(all: &[Pod], events: &[Event]) -> Option<(&'static str, String)> {
    let found = start_problem(&jobs::idle(), all, events, at(1000))?;
    Some((found.reason.as_str(), found.message))
}

#[rstest]
#[case::image("ImagePullBackOff", Some("WorkerImage"))]
#[case::first_try("ErrImagePull", Some("WorkerImage"))]
#[case::secret("CreateContainerConfigError", Some("WorkerConfiguration"))]
#[case::sidecar("CrashLoopBackOff", Some("WorkerConfiguration"))]
#[case::pulling("ContainerCreating", None)]
#[case::init("PodInitializing", None)]
fn waiting_container_is_a_problem_if_permanent(#[case] waiting: &str, #[case] reason: Option<&str>) {
    let pod = pod(
        990,
        json!({ "phase": "Pending", "initContainerStatuses": [{
            "name": "stage", "image": "postgres:13", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": waiting, "message": "not found" } },
        }]}),
    );
    let problem = start_problem(&jobs::active(), &[pod], &[], at(1000));
    assert_eq!(problem.as_ref().map(|problem| problem.reason.as_str()), reason);
    if let Some(problem) = problem {
        assert!(problem.message.contains("postgres:13"), "{}", problem.message);
        assert!(problem.message.contains("orders-17-3f9c21aa-x"), "{}", problem.message);
        assert_eq!(problem.since, at(990));
    }
}

#[rstest]
#[case::no_node("Unschedulable", "0/1 nodes are available")]
#[case::gate("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")]
fn pod_that_is_not_scheduled_is_a_problem(#[case] reason: &str, #[case] words: &str) {
    let pod = pod(
        10,
        json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": reason,
            "message": words, "lastTransitionTime": "1970-01-01T00:00:20Z",
        }]}),
    );
    let problem = start_problem(&jobs::active(), &[pod], &[], at(30)).unwrap();
    assert_eq!((problem.reason, problem.since), (StartReason::Unschedulable, at(20)));
    assert!(problem.message.ends_with(words), "{}", problem.message);
}

#[test]
fn refused_pod_is_told_in_the_words_of_the_api_server() {
    let (reason, message) = problem(&[], &[warning(610, "Other", "x"), refused(620)]).unwrap();
    assert_eq!(reason, "PodRefused");
    assert!(message.starts_with("job orders-17-3f9c21aa cannot create its pod: pods "), "{message}");
    assert!(message.ends_with("exceeded quota: small, requested: pods=1"), "{message}");
    // The next pod, when an earlier one had been created and has failed.
    assert_eq!(problem(&[failed(700, 1, "")], &[refused(720)]).unwrap().0, "PodRefused");
    assert_ne!(problem(&[failed(700, 1, "")], &[refused(620)]).unwrap().0, "PodRefused");
    assert_ne!(problem(&[running(700)], &[refused(620)]).unwrap().0, "PodRefused");
}

#[test]
fn volume_that_is_not_mounted_is_told_in_the_words_of_the_kubelet() {
    let missing = warning(980, "FailedMount", "MountVolume.SetUp failed: secret \"orders-config\" not found");
    let (reason, message) = problem(&[creating(970, "node-1")], std::slice::from_ref(&missing)).unwrap();
    assert_eq!(reason, "VolumeNotMounted");
    assert!(message.ends_with("secret \"orders-config\" not found"), "{message}");
    // It was mounted in the end: a container has started.
    let started = pod(
        990,
        json!({ "phase": "Pending", "initContainerStatuses": [{
            "name": "stage", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "running": { "startedAt": "1970-01-01T00:16:35Z" } },
        }]}),
    );
    assert_eq!(problem(&[started], &[missing]), None);
}

#[rstest]
#[case::no_pod(&[], "has no pod; for the reason run kubectl describe job orders-17-3f9c21aa")]
#[case::no_next_pod(&[failed(900, 1, "lost")], "the last one: container runner of pod orders-17-3f9c21aa-x exited with status 1: lost")]
#[case::pod_without_a_word(&[waiting(900, "ContainerCreating")], "has not started its runner: container runner waits (ContainerCreating)")]
fn silence_is_told_after_a_minute(#[case] all: &[Pod], #[case] words: &str) {
    let (reason, message) = problem(all, &[]).unwrap();
    assert_eq!(reason, "WorkerPod");
    assert!(message.ends_with(words), "{message}");
}

#[test]
fn silence_is_not_told_within_a_minute() {
    assert_eq!(start_problem(&jobs::idle(), &[], &[], at(650)), None);
    assert_eq!(start_problem(&jobs::idle(), &[waiting(900, "PodInitializing")], &[], at(950)), None);
    assert_eq!(start_problem(&jobs::idle(), &[failed(900, 1, "")], &[], at(950)), None);
}

#[test]
fn events_are_read_of_the_pod_or_else_of_its_job() {
    assert_eq!(subject(&jobs::active(), &[]).as_deref(), Some(jobs::OWN_UID));
    assert_eq!(subject(&jobs::active(), &[waiting(900, "ContainerCreating")]).as_deref(), Some("pod"));
    let started = crate::launcher::fixtures::pods::runner_ended(900, 0, 950);
    assert_eq!(subject(&jobs::active(), &[started]), None);
    assert_eq!(subject(&jobs::held(), &[]), None);
}
