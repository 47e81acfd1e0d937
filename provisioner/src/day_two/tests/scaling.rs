use kube::ResourceExt;
use pgops_api::pod_template::resources;
use serde_json::{Value, json};

use super::{Scenario, patched, pod};
use crate::day_two::facts::Template;
use crate::day_two::plan::Stage;
use crate::observation::Restart;

fn scaling() -> Scenario {
    let resources = json!({ "requests": { "memory": "2Gi" } });
    let spec =
        json!({ "type": "VerticalScaling", "verticalScaling": { "postgres": { "resources": resources } } });
    let old = json!({ "name": "postgres", "resources": { "requests": { "memory": "1Gi" } } });
    Scenario::new(json!({ "podTemplate": { "spec": { "containers": [old] } } }), &spec)
}

fn memory(scenario: &Scenario) -> Value {
    resources(scenario.database.spec.pod_template.as_ref()).unwrap()["requests"]["memory"].clone()
}

#[test]
fn request_that_is_cancelled_before_it_begins_touches_nothing() {
    let mut scenario = scaling();
    scenario.cancel();
    assert_eq!(scenario.steps(1), ["end Cancelled"]);
    assert!(scenario.end().2.starts_with("demo/orders was not touched"), "{:?}", scenario.end());
    assert_eq!(memory(&scenario), "1Gi");
}

#[test]
fn resources_are_changed_and_the_pod_gets_them() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    assert_eq!(memory(&scenario), "2Gi");
    scenario.template = Template::Behind;
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.template = Template::Current;
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1007, Some(1008))));
    assert_eq!(scenario.steps(3), ["complete Restart", "forget", "succeed"]);
    assert_eq!(memory(&scenario), "2Gi");
    assert_eq!(scenario.database.annotations().len(), 0);
}

#[test]
fn same_resources_need_no_restart() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "forget", "succeed"]);
    assert_eq!(scenario.outage(), "none");
}

#[test]
fn pod_that_differs_in_something_else_needs_no_restart_for_the_same_resources() {
    let mut scenario = scaling();
    // As after an upgrade of pgops.
    scenario.outdate_pod();
    scenario.running.restart = Restart::Pending(vec!["image of the instance".to_owned()]);
    assert_eq!(
        scenario.steps(5),
        ["begin VerticalScale", "change", "complete VerticalScale", "forget", "succeed"]
    );
    assert_eq!(scenario.outage(), "none");
}

/// Another client applies its manifest again.
fn set_back(scenario: &mut Scenario) {
    let old = json!({ "name": "postgres", "resources": { "requests": { "memory": "1Gi" } } });
    let spec = json!({ "podTemplate": { "spec": { "containers": [old] } } });
    scenario.database = patched(&scenario.database, &json!({ "spec": spec }));
    let owned = json!({ "f:spec": { "f:podTemplate": {} } });
    let entry = json!({ "manager": "argocd-controller", "fieldsV1": owned });
    scenario.database.metadata.managed_fields = serde_json::from_value(json!([entry])).unwrap();
}

#[test]
fn resources_that_another_client_sets_back_are_not_claimed_to_be_there() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    set_back(&mut scenario);
    assert_eq!(
        scenario.steps(3),
        ["fail VerticalScale SpecReverted", "forget", "end SpecReverted"],
        "what the other client wants is not changed again"
    );
    assert_eq!((memory(&scenario), scenario.outage()), (json!("1Gi"), "none"));
    let message = scenario.end().2;
    assert!(
        message.starts_with("demo/orders serves: another client (argocd-controller) has changed"),
        "{message}"
    );
    assert!(message.contains("spec.podTemplate"), "{message}");
}

#[test]
fn resources_that_are_set_back_while_the_pod_is_replaced_are_told_with_the_outage() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete pod"]);
    set_back(&mut scenario);
    scenario.set_pod(None);
    assert_eq!(scenario.steps(3), ["fail VerticalScale SpecReverted", "forget", "wait"]);
    scenario.set_pod(Some(pod("new", 1008, Some(1009))));
    scenario.now = 1009;
    assert_eq!(scenario.steps(2), ["complete Restart", "end SpecReverted"]);
    let message = scenario.end().2;
    assert!(message.starts_with("demo/orders serves after "), "{message}");
}

#[test]
fn resources_that_no_node_has_are_undone() {
    let mut scenario = scaling();
    scenario.request.spec.timeout = Some("5s".to_owned());
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1005, None)));
    scenario.problem("PodUnschedulable");
    scenario.now += 10;
    assert_eq!(scenario.steps(2), ["fail VerticalScale PodUnschedulable", "revert"]);
    assert_eq!(memory(&scenario), "1Gi");
    scenario.template = Template::Behind;
    assert_eq!(scenario.steps(1), ["wait PodUnschedulable"]);
    scenario.template = Template::Current;
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["delete pod"]);
    scenario.set_pod(Some(pod("third", scenario.now, Some(scenario.now + 2))));
    scenario.now += 2;
    assert_eq!(scenario.steps(2), ["complete Restart", "end PodUnschedulable"]);
    let (_, reason, message) = scenario.end();
    assert_eq!(reason, "PodUnschedulable");
    assert!(message.starts_with("demo/orders serves with the previous resources after "), "{message}");
    assert!(message.ends_with("of outage: 0/1 nodes are available"), "{message}");
    assert_eq!(scenario.status_of(Stage::VerticalScale), "False");
}

#[test]
fn resources_that_no_node_has_are_undone_after_half_a_minute_without_a_time_limit() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", scenario.now, None)));
    scenario.problem("PodUnschedulable");
    scenario.now += 29;
    assert_eq!(scenario.steps(2), ["wait PodUnschedulable", "fail VerticalScale PodUnschedulable"]);
}

#[test]
fn resources_whose_statefulset_is_refused_are_undone_without_an_outage() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.template = Template::Failed { reason: "ReconcileFailed", message: "exceeded quota".to_owned() };
    assert_eq!(scenario.steps(1), ["wait ReconcileFailed"]);
    scenario.now += 60;
    assert_eq!(scenario.steps(2), ["fail VerticalScale ReconcileFailed", "revert"]);
    scenario.template = Template::Current;
    assert_eq!(scenario.steps(1), ["end ReconcileFailed"]);
    assert_eq!((memory(&scenario), scenario.outage()), (json!("1Gi"), "none"));
}

#[test]
fn scaling_that_is_cancelled_while_it_waits_is_undone() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["complete VerticalScale"]);
    scenario.cancel();
    assert_eq!(scenario.steps(2), ["fail VerticalScale Cancelled", "revert"]);
    scenario.pod().is_outdated = false;
    assert_eq!(scenario.steps(1), ["end Cancelled"]);
    assert_eq!((memory(&scenario), scenario.outage()), (json!("1Gi"), "none"));
}

#[test]
fn scaling_that_is_cancelled_while_its_pod_waits_is_undone_and_tells_the_outage() {
    let mut scenario = scaling();
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1005, None)));
    scenario.problem("PodUnschedulable");
    scenario.cancel();
    assert_eq!(scenario.steps(2), ["fail VerticalScale Cancelled", "revert"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["delete pod"]);
    scenario.set_pod(Some(pod("third", scenario.now, Some(scenario.now + 2))));
    scenario.now += 2;
    assert_eq!(scenario.steps(2), ["complete Restart", "end Cancelled"]);
    let (_, _, message) = scenario.end();
    assert!(message.starts_with("demo/orders serves with the previous resources after "), "{message}");
    assert!(
        message.ends_with("of outage: the request was cancelled by its annotation pgops.dev/cancel"),
        "{message}"
    );
    assert_eq!(scenario.status_of(Stage::VerticalScale), "False");
    assert_eq!(memory(&scenario), "1Gi");
}
