//! What comes back whatever comes in: defaults, foreign kinds, and bodies that are no review.

use super::*;
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
async fn adds_defaults_to_what_is_new() {
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
async fn patches_nothing_where_there_is_nothing_to_add() {
    let full = with(with(opsrequest("17.11"), "/spec/apply", json!("Always")), "/spec/maxRetries", json!(3));
    assert_eq!(patch(&full).await, Value::Null);
    assert_eq!(patch(&version("13.16", "< 18")).await, Value::Null);
    let old = opsrequest("17.11");
    let update = review("UPDATE", Some(&old), Some(&old));
    assert!(Cluster::new().review("/mutate", update).await.get("patch").is_none());
    // What has the wrong shape is for the API server to refuse.
    assert_eq!(patch(&with(opsrequest("17.11"), "/spec", json!("none"))).await, Value::Null);
}

#[tokio::test]
async fn lets_foreign_kinds_pass_and_says_so() {
    let pod = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "demo"}});
    assert_snapshot!(Cluster::new().warnings(create(&pod)).await.join("\n"), @r#"pgops has no rules for Deployment of group "apps", so this passed unchecked: its webhook configuration names a kind too many"#);
}

#[tokio::test]
async fn refuses_bodies_that_are_no_review_in_readable_words() {
    let refuse = async |body: &str| {
        let (status, text) = Cluster::new().post("/validate", body.to_owned()).await;
        format!("{} {text}", status.as_u16())
    };
    assert_snapshot!(refuse("").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: EOF while parsing a value at line 1 column 0");
    assert_snapshot!(refuse("{").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: EOF while parsing an object at line 1 column 1");
    assert_snapshot!(refuse("[]").await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: invalid type: sequence, expected struct AdmissionReview at line 1 column 0");
    assert_snapshot!(refuse(r#"{"apiVersion":"v1","kind":"Pod"}"#).await, @"400 failed to read the AdmissionReview: it has no request");
    assert_snapshot!(refuse(&"[".repeat(100_000)).await, @"400 failed to read an AdmissionReview of admission.k8s.io/v1: invalid type: sequence, expected struct AdmissionReview at line 1 column 0");
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    assert!(refuse(&deep).await.starts_with("400 "));
}

#[tokio::test]
async fn refuses_an_object_that_is_none_under_the_reviews_own_uid() {
    let broken = with(create(&opsrequest("17.11")), "/object/metadata", json!("none"));
    let response = Cluster::new().validate(broken).await;
    assert_eq!(response["allowed"], false);
    let message = response["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("failed to read the request under review: "), "{message}");
}

#[tokio::test]
async fn takes_a_review_of_the_largest_objects_and_no_more() {
    let note = json!({"note": "x".repeat(3_000_000)});
    let huge = with(opsrequest("17.11"), "/metadata/annotations", note);
    assert!(!Cluster::new().warnings(review("CREATE", Some(&huge), Some(&huge))).await.is_empty());
    let (status, text) = Cluster::new().post("/validate", "x".repeat(BODY_LIMIT + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text.starts_with("failed to receive the review: "), "{text}");
}

#[tokio::test]
async fn answers_posts_only() {
    let request = Request::get("/validate").body(Body::empty()).unwrap();
    let response = Cluster::new().router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
