use pgops_api::condition;
use pgops_api::opsrequest::Phase;
use serde_json::json;

use super::{Scenario, patched, pod};

fn restart() -> Scenario {
    Scenario::new(json!({}), &json!({ "type": "Restart" }))
}

#[test]
fn restart_replaces_exactly_the_pod_that_existed() {
    let mut scenario = restart();
    // A provisioner that was stopped after the deletion decides the same again.
    assert_eq!(scenario.steps(3), ["begin Restart", "delete pod", "delete pod"]);
    scenario.pod().is_being_deleted = true;
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.set_pod(None);
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.set_pod(Some(pod("new", 1006, None)));
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.set_pod(Some(pod("new", 1006, Some(scenario.now))));
    assert_eq!(scenario.steps(2), ["complete Restart", "succeed"]);
    assert_eq!(scenario.outage(), "5.0s");
    assert_eq!(
        scenario.end(),
        (Phase::Successful, "Successful".into(), "demo/orders was restarted after 5.0s of outage".into())
    );
    assert_eq!(scenario.request.status.as_ref().unwrap().step.as_deref(), Some("1/1 Restart"));
}

#[test]
fn restart_of_a_database_without_a_pod_waits_for_one() {
    let mut scenario = restart();
    scenario.set_pod(None);
    assert_eq!(scenario.steps(2), ["begin Restart", "wait"]);
    scenario.set_pod(Some(pod("new", 1001, Some(1002))));
    assert_eq!(scenario.steps(2), ["complete Restart", "succeed"]);
    assert_eq!(scenario.outage(), "none");
}

#[test]
fn restart_whose_pod_finds_no_node_fails_with_the_words_of_the_scheduler() {
    let mut scenario = restart();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1002, None)));
    scenario.problem("PodUnschedulable");
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.now += 10;
    assert_eq!(scenario.steps(1), ["wait PodUnschedulable"]);
    scenario.now += 120;
    assert_eq!(scenario.steps(2), ["fail Restart PodUnschedulable", "end PodUnschedulable"]);
    let (phase, _, message) = scenario.end();
    assert!(phase == Phase::Failed && message.contains("0/1 nodes are available"), "{message}");
    assert!(scenario.outage().starts_with("over "), "{}", scenario.outage());
    assert_eq!(condition::find(scenario.request.conditions(), "Waiting"), None);
}

#[test]
fn time_limit_of_the_request_counts_in_both_directions() {
    let mut scenario = restart();
    scenario.request.spec.timeout = Some("10s".to_owned());
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1002, None)));
    scenario.now += 20;
    assert_eq!(scenario.steps(2), ["fail Restart PodNotReady", "end PodNotReady"]);
    let mut patient = restart();
    patient.request.spec.timeout = Some("1h".to_owned());
    assert_eq!(patient.steps(2), ["begin Restart", "delete pod"]);
    patient.set_pod(Some(pod("new", 1002, None)));
    patient.problem("ImageNotPulled");
    patient.now += 600;
    assert_eq!(patient.steps(1), ["wait ImageNotPulled"]);
}

#[test]
fn database_that_is_paused_meanwhile_is_left_alone() {
    let mut scenario = restart();
    let paused = json!({ "type": "Paused", "status": "True", "message": "by hand",
        "lastTransitionTime": "2026-11-20T10:00:00Z" });
    scenario.database = patched(&scenario.database, &json!({ "status": { "conditions": [paused] } }));
    assert_eq!(scenario.steps(1), ["wait DatabasePaused"]);
}
