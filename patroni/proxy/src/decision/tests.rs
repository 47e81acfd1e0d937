//! What passes, and what does not.

use hyper::Method;
use rstest::rstest;

use super::{Request, decide};
use crate::call::{Call, Outgoing};
use crate::fixtures::orders;
use crate::record::PATCH_TYPE;
use crate::refusal::Refusal;

mod patches;
mod paths;
mod queries;

const PODS: &str = "/api/v1/namespaces/demo/pods";
const CONFIG_MAPS: &str = "/api/v1/namespaces/demo/configmaps";
const SELECTOR: &str = "labelSelector=pgops.dev%2Fha%3Dorders-ha-17";

/// A GET, as Patroni sends it.
fn get(target: &str) -> Result<Call, Refusal> {
    decide(&orders(), Request { method: &Method::GET, target, content_type: None, body: b"" })
}

/// A PATCH, as Patroni sends it.
fn patch(target: &str, body: &str) -> Result<Call, Refusal> {
    let content_type = Some(PATCH_TYPE);
    decide(&orders(), Request { method: &Method::PATCH, target, content_type, body: body.as_bytes() })
}

/// What is sent for a call that is passed on.
fn outgoing(decided: Result<Call, Refusal>) -> Outgoing {
    decided.unwrap().outgoing(&orders()).unwrap()
}

fn kind(decided: Result<Call, Refusal>) -> &'static str {
    decided.unwrap_err().kind()
}

/// A patch of the lock, as Patroni writes it.
fn renewal() -> String {
    serde_json::json!({"metadata": {
        "namespace": "demo",
        "name": "orders-ha-17-leader",
        "labels": {"pgops.dev/ha": "orders-ha-17"},
        "annotations": {
            "leader": "orders-1", "ttl": "20", "renewTime": "2026-12-01T09:00:00+00:00",
            "acquireTime": "2026-12-01T08:00:00+00:00", "transitions": "3", "optime": "83886080",
            "slots": null, "retain_slots": null, "failsafe": "{\"orders-1\":\"https://10.0.0.1:8008/patroni\"}",
        },
        "resourceVersion": "4711",
    }})
    .to_string()
}

#[rstest]
fn requests_of_other_methods_are_refused(
    #[values("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PATCH ", "get", "WATCH")]
    method: &str,
    #[values(PODS, CONFIG_MAPS)] collection: &str,
) {
    // Not even a token of HTTP.
    let Ok(method) = method.parse::<Method>() else { return };
    let own = [
        collection.to_owned(),
        format!("{collection}?{SELECTOR}"),
        format!("{PODS}/orders-1"),
        format!("{CONFIG_MAPS}/orders-ha-17-leader"),
    ];
    for target in own {
        let content_type = Some(PATCH_TYPE);
        let body = renewal();
        let request = Request { method: &method, target: &target, content_type, body: body.as_bytes() };
        assert_eq!(kind(decide(&orders(), request)), "method", "{method} {target}");
    }
}

#[rstest]
#[case::get_of_a_pod(get(&format!("{PODS}/orders-1")))]
#[case::patch_of_all_pods(patch(PODS, "{}"))]
#[case::patch_of_all_config_maps(patch(&format!("{CONFIG_MAPS}?{SELECTOR}"), &renewal()))]
fn methods_that_patroni_does_not_use_on_a_path_are_refused(#[case] decided: Result<Call, Refusal>) {
    assert_eq!(kind(decided), "method");
}

#[rstest]
fn body_of_a_request_to_read_is_refused(
    #[values("pods?{}", "configmaps?{}", "configmaps/orders-ha-17-leader")] path: &str,
) {
    let target = format!("/api/v1/namespaces/demo/{}", path.replace("{}", SELECTOR));
    let request = Request { method: &Method::GET, target: &target, content_type: None, body: b"{}" };
    assert_eq!(kind(decide(&orders(), request)), "unexpected-body");
}

#[rstest]
#[case(None)]
#[case(Some(""))]
#[case(Some("application/json"))]
#[case(Some("application/merge-patch+json"))]
#[case(Some("application/json-patch+json"))]
#[case(Some("application/apply-patch+yaml"))]
#[case(Some("application/apply-patch+cbor"))]
#[case(Some("application/yaml"))]
#[case(Some("application/vnd.kubernetes.protobuf"))]
#[case(Some("application/strategic-merge-patch+json; charset=utf-8"))]
#[case(Some("Application/Strategic-Merge-Patch+json"))]
#[case(Some("application/strategic-merge-patch+json, application/json-patch+json"))]
fn patches_of_other_content_types_are_refused(#[case] content_type: Option<&str>) {
    let target = format!("{CONFIG_MAPS}/orders-ha-17-leader");
    let body = renewal();
    let request = Request { method: &Method::PATCH, target: &target, content_type, body: body.as_bytes() };
    assert_eq!(kind(decide(&orders(), request)), "content-type");
}
