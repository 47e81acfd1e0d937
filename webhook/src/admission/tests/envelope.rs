//! Defaults, other kinds, and bodies that are not reviews.

use super::*;
use crate::admission::rules::defaults::DEPRECATED_FORM;
use insta::assert_snapshot;

async fn patch(object: &Value) -> Value {
    let response = Cluster::new().review("/mutate", create(object)).await;
    assert_eq!(response["allowed"], true);
    if response["patch"].is_null() {
        return Value::Null;
    }
    assert_eq!(response["patchType"], "JSONPatch");
    let bytes: Vec<u8> = serde_json::from_value(response["patch"].clone()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn defaults_are_added_to_new_objects() {
    let request = patch(&opsrequest("17.11")).await;
    assert_eq!(
        request,
        json!([
            {"op": "add", "path": "/spec/apply", "value": "IfReady"},
            {"op": "add", "path": "/spec/maxRetries", "value": 1},
        ])
    );
    let database = patch(&database("new")).await;
    assert_eq!(
        database,
        json!([
            {"op": "add", "path": "/spec/replicas", "value": 1},
            {"op": "add", "path": "/spec/deletionPolicy", "value": "Delete"},
        ])
    );
}

#[tokio::test]
async fn complete_object_gets_no_patch() {
    let full = with(with(opsrequest("17.11"), "/spec/apply", json!("Always")), "/spec/maxRetries", json!(3));
    assert_eq!(patch(&full).await, Value::Null);
    assert_eq!(patch(&version("13.16", "< 18")).await, Value::Null);
    let old = opsrequest("17.11");
    let update = review("UPDATE", Some(&old), Some(&old));
    assert!(Cluster::new().review("/mutate", update).await.get("patch").is_none());
    // The API server rejects an object of the wrong shape.
    assert_eq!(patch(&with(opsrequest("17.11"), "/spec", json!("none"))).await, Value::Null);
}

fn deprecated(spec: Value) -> Value {
    let mut object = with(opsrequest(""), "/spec", spec);
    object["spec"]["databaseRef"] = json!({"name": "orders"});
    object
}

#[tokio::test]
async fn deprecated_form_is_converted_with_a_warning() {
    let current = json!({
        "type": "UpdateVersion", "databaseRef": {"name": "orders"}, "apply": "IfReady", "maxRetries": 1,
        "updateVersion": {"targetVersion": "17.11"},
    });
    let target = json!({"targetVersion": "17.11"});
    for spec in [
        json!({"type": "Upgrade", "upgrade": target}),
        json!({"type": "Upgrade", "updateVersion": target}),
        json!({"type": "Upgrade", "updateVersion": target, "upgrade": target}),
        json!({"type": "Upgrade", "updateVersion": target, "upgrade": null}),
        json!({"type": "UpdateVersion", "upgrade": target}),
        json!({"type": "UpdateVersion", "updateVersion": target, "upgrade": target}),
    ] {
        let (object, warnings) = Cluster::new().stored(create(&deprecated(spec.clone()))).await;
        assert_eq!(object["spec"], current, "{spec}");
        assert_eq!(warnings, [DEPRECATED_FORM], "{spec}");
    }
    let (_, warnings) = Cluster::new().stored(create(&opsrequest("17.11"))).await;
    assert!(warnings.is_empty());
}

#[tokio::test]
async fn applying_the_deprecated_form_again_changes_nothing() {
    let old = opsrequest("17.11");
    let mut again = with(old.clone(), "/spec/type", json!("Upgrade"));
    again["spec"]["upgrade"] = json!({"targetVersion": "17.11"});
    let (object, warnings) = Cluster::new().stored(review("UPDATE", Some(&again), Some(&old))).await;
    assert_eq!(object, old);
    assert_eq!(warnings.len(), 1);

    // Another target is a change, which the CRD rejects because the spec is immutable.
    again["spec"]["upgrade"]["targetVersion"] = json!("17.12");
    let (object, _) = Cluster::new().stored(review("UPDATE", Some(&again), Some(&old))).await;
    assert_eq!(object, opsrequest("17.12"));
    again["spec"]["updateVersion"]["targetVersion"] = json!("15.20");
    let (object, _) = Cluster::new().stored(review("UPDATE", Some(&again), Some(&old))).await;
    assert_eq!(object, again);
}

#[tokio::test]
async fn two_different_targets_are_not_converted() {
    let both = json!({"type": "Upgrade", "updateVersion": {"targetVersion": "17.11"}, "upgrade": {"targetVersion": "15.20"}});
    let (object, warnings) = Cluster::new().stored(create(&deprecated(both.clone()))).await;
    assert_eq!((&object["spec"]["type"], &object["spec"]["upgrade"]), (&both["type"], &both["upgrade"]));
    assert!(warnings.is_empty());
    let other = deprecated(json!({"type": "HorizontalScaling", "upgrade": {"targetVersion": "17.11"}}));
    assert_eq!(Cluster::new().stored(create(&other)).await.0, other);
}

#[tokio::test]
async fn other_kinds_pass_with_a_warning() {
    let pod = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"}});
    assert_snapshot!(Cluster::new().warnings(create(&pod)).await.join("\n"), @r#"pgops has no rules for Deployment of group "apps", so this was not checked: remove that kind from the webhook configuration"#);
}

#[tokio::test]
async fn body_that_is_not_a_review_is_rejected() {
    let reject = async |body: &str| {
        let (status, text) = Cluster::new().post("/validate", body.to_owned()).await;
        format!("{} {text}", status.as_u16())
    };
    assert_snapshot!(reject("").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: EOF while parsing a value at line 1 column 0");
    assert_snapshot!(reject("{").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: EOF while parsing an object at line 1 column 1");
    assert_snapshot!(reject("[]").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: invalid length 0, expected struct AdmissionReview with 1 element at line 1 column 2");
    assert_snapshot!(reject(r#"{"apiVersion":"v1","kind":"Pod"}"#).await, @"400 failed to read the AdmissionReview: it has no request");
    assert!(reject(&"[".repeat(100_000)).await.starts_with("400 "));
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    assert_snapshot!(reject(&deep).await, @"400 failed to read the AdmissionReview: it has no request");
}

#[tokio::test]
async fn malformed_object_is_denied_under_its_uid() {
    let broken = with(create(&opsrequest("17.11")), "/object/metadata", json!("none"));
    let response = Cluster::new().validate(broken).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("failed to read the request under review: invalid type: string"),
        "{message}"
    );
    let no_spec = without(opsrequest("17.11"), "/spec");
    assert_snapshot!(Cluster::new().denial(create(&no_spec)).await, @"
    422 Invalid Unreadable spec
    failed to read the PostgresOpsRequest: missing field `spec`
    ");
    let broken = with(create(&opsrequest("17.11")), "/operation", json!("INVENT"));
    let response = Cluster::new().validate(broken).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("failed to read the request under review: "), "{message}");
}

#[tokio::test]
async fn audit_annotation_has_the_reason() {
    let cluster = Cluster::new();
    let reason = async |target: &str| {
        let response = cluster.validate(create(&opsrequest(target))).await;
        response["auditAnnotations"]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("17.11").await, "Allowed");
    assert_eq!(reason("18.6").await, "Constraints");
}

/// A body of which no byte ever arrives.
fn stalled() -> Body {
    Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>())
}

#[tokio::test(start_paused = true)]
async fn slow_client_is_cut_off() {
    let (status, text) = Cluster::new().post("/validate", stalled()).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_snapshot!(text, @"failed to receive the review: it did not arrive within 2 s");
}

#[tokio::test(start_paused = true)]
async fn small_reviews_overtake_stalled_large_ones() {
    let router = Cluster::new().router();
    let send = |body: Body| router.clone().oneshot(Request::post("/validate").body(body).unwrap());
    let large: Vec<_> = (0..9).map(|_| tokio::spawn(send(stalled()))).collect();
    tokio::task::yield_now().await;
    let review = json!({"request": create(&opsrequest("17.11"))}).to_string();
    let small = send(Body::from(review)).await.unwrap();
    assert_eq!(small.status(), StatusCode::OK);
    let mut statuses = Vec::new();
    for one in large {
        statuses.push(one.await.unwrap().unwrap().status());
    }
    // Eight are read until they are cut off; then the ninth is, for as long.
    assert!(statuses.iter().all(|status| !status.is_success()), "{statuses:?}");
}

#[tokio::test]
async fn largest_review_is_accepted_and_no_larger_one() {
    let note = json!({"note": "x".repeat(3_000_000)});
    let huge = with(opsrequest("17.11"), "/metadata/annotations", note);
    assert!(!Cluster::new().warnings(review("CREATE", Some(&huge), Some(&huge))).await.is_empty());
    let (status, text) = Cluster::new().post("/validate", "x".repeat(BODY_LIMIT + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.starts_with("failed to receive the review: "), "{text}");
}

#[tokio::test]
async fn only_post_is_allowed() {
    let request = Request::get("/validate").body(Body::empty()).unwrap();
    let response = Cluster::new().router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
