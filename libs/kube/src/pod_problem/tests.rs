use super::*;
use rstest::rstest;
use serde_json::{Value, json};

fn event(reason: &str, message: &str, second: u32) -> Event {
    serde_json::from_value(json!({
        "metadata": {}, "involvedObject": {}, "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": format!("2026-11-20T10:00:{second:02}Z"),
    }))
    .unwrap()
}

fn at(second: u32) -> Timestamp {
    format!("2026-11-20T10:00:{second:02}Z").parse().unwrap()
}

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({ "metadata": { "name": "orders-0" }, "status": status })).unwrap()
}

fn container(name: &str, state: &Value) -> Value {
    json!({ "name": name, "image": "postgres:17", "imageID": "", "ready": false, "restartCount": 0, "state": state })
}

fn waiting(name: &str, reason: &str, message: &str) -> Value {
    container(name, &json!({ "waiting": { "reason": reason, "message": message } }))
}

#[test]
fn refused_pod_is_a_problem_until_one_is_created() {
    let refused =
        "create Pod orders-0 in StatefulSet orders failed error: exceeded quota: q, requested: limits.cpu=1";
    let mut events = vec![event("SuccessfulCreate", "create Claim", 1), event("FailedCreate", refused, 2)];
    let problem = creation_problem("StatefulSet orders", &events, None).unwrap();
    assert_eq!(problem.cause, PodProblemCause::Refused);
    assert_eq!(
        problem.message,
        "StatefulSet orders cannot create its pod: exceeded quota: q, requested: limits.cpu=1"
    );
    assert!(creation_problem("StatefulSet orders", &events, Some(at(1))).is_some(), "of the next pod");
    assert_eq!(creation_problem("StatefulSet orders", &events, Some(at(2))), None);
    events.push(event("SuccessfulCreate", "create Pod orders-0", 3));
    assert_eq!(creation_problem("StatefulSet orders", &events, None), None);
    let of_job = [event("FailedCreate", "Error creating: pods \"a\" is forbidden", 1)];
    let problem = creation_problem("job a", &of_job, None).unwrap();
    assert_eq!(problem.message, "job a cannot create its pod: pods \"a\" is forbidden");
}

#[rstest]
#[case::unschedulable(
    json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient memory." }] }),
    PodProblemCause::Unschedulable,
    "pod orders-0 cannot be scheduled: 0/1 nodes are available: 1 Insufficient memory."
)]
#[case::gated(
    json!({ "conditions": [{ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated" }] }),
    PodProblemCause::Unschedulable,
    "pod orders-0 cannot be scheduled: SchedulingGated"
)]
#[case::image(
    json!({ "initContainerStatuses": [waiting("install", "ImagePullBackOff", "Back-off pulling image")] }),
    PodProblemCause::Image,
    "container install of pod orders-0 cannot start from image postgres:17: ImagePullBackOff: Back-off pulling image"
)]
#[case::missing_key(
    json!({ "containerStatuses": [waiting("postgres", "CreateContainerConfigError", "couldn't find key")] }),
    PodProblemCause::Configuration,
    "container postgres of pod orders-0 cannot start from image postgres:17: CreateContainerConfigError: couldn't find key"
)]
#[case::unknown(
    json!({ "containerStatuses": [waiting("postgres", "PostStartHookError", "no")] }),
    PodProblemCause::Other,
    "container postgres of pod orders-0 cannot start from image postgres:17: PostStartHookError: no"
)]
#[case::ended(
    json!({ "containerStatuses": [container("postgres", &json!({ "terminated": { "exitCode": 1 } }))] }),
    PodProblemCause::Ended,
    "container postgres of pod orders-0 has ended with exit status 1: its log says why"
)]
#[case::next_container(
    json!({ "containerStatuses": [
        container("mesh", &json!({ "terminated": { "exitCode": 1 } })), waiting("postgres", "ErrImagePull", "no"),
    ] }),
    PodProblemCause::Image,
    "container postgres of pod orders-0 cannot start from image postgres:17: ErrImagePull: no"
)]
#[case::volume(
    json!({ "containerStatuses": [waiting("postgres", "PodInitializing", "")] }),
    PodProblemCause::VolumeNotMounted,
    "pod orders-0 waits for a volume: secret \"orders-auth\" not found"
)]
fn pod_that_does_not_run_is_a_problem_in_the_words_of_the_component_that_prevents_it(
    #[case] status: Value,
    #[case] cause: PodProblemCause,
    #[case] message: &str,
) {
    let events =
        [event("FailedMount", "secret \"orders-auth\" not found", 2), event("FailedMount", "older", 1)];
    let problem = start_problem(&pod(&status), &events).unwrap();
    assert_eq!((problem.cause, problem.message.as_str()), (cause, message));
}

#[test]
fn termination_message_of_a_crashing_container_is_passed_on() {
    let mut container = waiting("postgres", "CrashLoopBackOff", "back-off 5m0s");
    container["lastState"] =
        json!({ "terminated": { "exitCode": 1, "message": "failed to find PostgreSQL 17" } });
    let problem = start_problem(&pod(&json!({ "containerStatuses": [container] })), &[]).unwrap();
    assert_eq!(problem.cause, PodProblemCause::Crash);
    assert!(
        problem.message.ends_with("CrashLoopBackOff: failed to find PostgreSQL 17"),
        "{}",
        problem.message
    );
}

#[test]
fn running_pod_has_no_problem_that_it_had_before() {
    let running = container("postgres", &json!({ "running": {} }));
    let events = [event("FailedMount", "timed out", 1)];
    assert_eq!(start_problem(&pod(&json!({ "containerStatuses": [running] })), &events), None);
    let ended = container("init", &json!({ "terminated": { "exitCode": 0 } }));
    assert_eq!(start_problem(&pod(&json!({ "initContainerStatuses": [ended] })), &events), None);
    assert_eq!(start_problem(&pod(&json!({})), &[]), None, "it was just created");
}

const SANDBOX: &str = "Failed to create pod sandbox: plugin type=\"mesh\" failed (add): no token";

#[rstest]
#[case::nothing_reported(json!({}))]
#[case::waiting(json!({ "containerStatuses": [waiting("postgres", "ContainerCreating", "")] }))]
fn warning_about_a_pod_without_a_started_container_is_its_problem(#[case] status: Value) {
    let mut events = vec![
        event("FailedScheduling", "0/1 nodes are available", 1),
        event("FailedCreatePodSandBox", SANDBOX, 2),
        event("Unhealthy", "Startup probe failed", 2),
    ];
    let problem = start_problem(&pod(&status), &events).unwrap();
    assert_eq!(problem.cause, PodProblemCause::Other);
    assert_eq!(
        problem.message,
        format!("pod orders-0 does not start yet: FailedCreatePodSandBox: {SANDBOX}")
    );
    assert_eq!(start_problem(&pod(&status), &events[..1]), None, "it has a node since");
    let mut pulling = event("Pulling", "Pulling image \"postgres:17\"", 3);
    pulling.type_ = Some("Normal".to_owned());
    events.push(pulling);
    assert_eq!(start_problem(&pod(&status), &events), None, "its network was set up in the end");
}

#[test]
fn warning_about_a_pod_with_a_started_container_is_not_why_it_does_not_start() {
    let running = container("postgres", &json!({ "running": {} }));
    let events = [event("FailedCreatePodSandBox", SANDBOX, 1)];
    assert_eq!(start_problem(&pod(&json!({ "containerStatuses": [running] })), &events), None);
}
