use serde_json::{Value, json};

use super::{Scenario, patched, pod};
use crate::day_two::facts::Template;
use crate::day_two::step::{CHANGE_REFUSED, Step};

fn with_limit(spec: &Value) -> Scenario {
    let mut scenario = Scenario::new(json!({}), spec);
    scenario.request.spec.timeout = Some("1m".to_owned());
    scenario
}

fn restart() -> Scenario {
    with_limit(&json!({ "type": "Restart" }))
}

fn scaling() -> Scenario {
    let new = json!({ "postgres": { "resources": { "requests": { "memory": "2Gi" } } } });
    with_limit(&json!({ "type": "VerticalScaling", "verticalScaling": new }))
}

fn pause(scenario: &mut Scenario) {
    let paused = json!({ "type": "Paused", "status": "True", "message": "by hand",
        "lastTransitionTime": "2026-11-20T10:00:00Z" });
    scenario.database = patched(&scenario.database, &json!({ "status": { "conditions": [paused] } }));
}

#[test]
fn request_does_not_wait_for_the_end_of_a_pause_for_longer_than_its_limit() {
    let mut scenario = restart();
    pause(&mut scenario);
    assert_eq!(scenario.steps(1), ["wait DatabasePaused"]);
    scenario.now += 50;
    assert_eq!(scenario.steps(1), ["wait DatabasePaused"]);
    scenario.now += 10;
    assert_eq!(scenario.steps(1), ["end DatabasePaused"]);
    let message = scenario.end().2;
    assert!(message.starts_with("demo/orders was not touched: demo/orders is paused"), "{message}");

    let mut patient = Scenario::new(json!({}), &json!({ "type": "Restart" }));
    pause(&mut patient);
    assert_eq!(patient.steps(1), ["wait DatabasePaused"]);
    patient.now += 86_400;
    assert_eq!(patient.steps(1), ["wait DatabasePaused"]);
}

#[test]
fn resources_of_a_database_that_is_halted_meanwhile_come_back() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.database.spec.halted = Some(true);
    assert_eq!(scenario.steps(1), ["wait DatabaseHalted"]);
    scenario.now += 60;
    assert_eq!(scenario.steps(3), ["fail VerticalScale DatabaseHalted", "revert", "end DatabaseHalted"]);
    let message = scenario.end().2;
    assert!(
        message.starts_with("demo/orders has the previous resources again, and is halted: "),
        "{message}"
    );
}

#[test]
fn statefulset_that_its_controller_does_not_see_is_told_and_not_waited_for_without_end() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.template = Template::Behind;
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.now += 10;
    assert_eq!(scenario.steps(1), ["wait StatefulSetNotSeen"]);
    scenario.now += 60;
    assert_eq!(scenario.steps(2), ["fail VerticalScale StatefulSetNotSeen", "revert"]);

    let mut restart = restart();
    restart.template = Template::Behind;
    assert_eq!(restart.steps(1), ["wait StatefulSetNotSeen"]);
    restart.now += 60;
    assert_eq!(restart.steps(1), ["end StatefulSetNotSeen"]);
}

#[test]
fn pod_that_is_created_again_and_again_is_not_waited_for_without_end() {
    let mut scenario = Scenario::new(json!({}), &json!({ "type": "Restart" }));
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    let began = scenario.now;
    let mut number = 0;
    while scenario.now < began + 600 {
        number += 1;
        scenario.set_pod(Some(pod(&format!("new-{number}"), scenario.now, None)));
        scenario.problem("PodUnschedulable");
        scenario.now += 60;
        if scenario.steps(1) == ["fail Restart PodUnschedulable"] {
            assert!(scenario.now >= began + 300, "the time that the last pod takes to stop does not count");
            return;
        }
    }
    panic!("it is still waited for");
}

#[test]
fn time_limit_counts_from_the_begin_of_the_stage() {
    let mut scenario = restart();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    scenario.now += 50;
    scenario.set_pod(Some(pod("new", scenario.now, None)));
    scenario.now += 20;
    assert_eq!(scenario.steps(2), ["fail Restart PodNotReady", "end PodNotReady"]);
}

fn refuse(scenario: &mut Scenario) {
    scenario.record(&Step::waiting(CHANGE_REFUSED, "failed to delete Pod orders-0: a policy"));
}

#[test]
fn pod_whose_deletion_is_refused_is_told_and_not_deleted_for_ever() {
    let mut scenario = restart();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    refuse(&mut scenario);
    assert_eq!(scenario.steps(1), ["delete pod"], "it is tried again");
    scenario.now += 60;
    assert_eq!(scenario.steps(2), ["fail Restart ChangeRefused", "end ChangeRefused"]);
    let message = scenario.end().2;
    assert!(message.ends_with("was not touched: failed to delete Pod orders-0: a policy"), "{message}");
}

#[test]
fn change_that_may_not_be_put_back_ends_the_request() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.cancel();
    let changed = scenario.database.clone();
    assert_eq!(scenario.steps(2), ["fail VerticalScale Cancelled", "revert"]);
    scenario.database = changed;
    refuse(&mut scenario);
    scenario.now += 600;
    assert_eq!(scenario.steps(1), ["end Cancelled"]);
    let message = scenario.end().2;
    assert!(message.contains("could not be put back: failed to delete Pod orders-0: a policy"), "{message}");
}
