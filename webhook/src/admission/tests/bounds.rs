//! Reviews that no API server sends, and that would take much memory.

use super::*;
use insta::assert_snapshot;

#[tokio::test]
async fn long_identifier_is_rejected_instead_of_repeated() {
    let long = "x".repeat(5_000);
    for path in ["/uid", "/name", "/namespace", "/kind/kind", "/userInfo/username", "/object/metadata/name"] {
        let request = json!({"request": with(create(&opsrequest("17.11")), path, json!(long))});
        let (status, text) = Cluster::new().post("/validate", request.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(text.len() < 200, "{path}: {text}");
    }
    let unreadable = json!({"request": with(json!({"uid": long}), "/operation", json!("INVENT"))});
    let (status, text) = Cluster::new().post("/validate", unreadable.to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_snapshot!(text, @"failed to read the AdmissionReview: request.uid is longer than 4096 bytes");
}

#[tokio::test]
async fn response_is_short_whatever_the_object_contains() {
    let name = "x".repeat(3_000_000);
    let texts = [
        create(&opsrequest(&name)),
        create(&with(opsrequest("17.11"), "/spec/databaseRef/name", json!(name))),
        create(&with(opsrequest("17.11"), "/spec/timeout", json!(name))),
        create(&with(opsrequest("17.11"), "/spec/type", json!(name))),
        create(&with(opsrequest("17.11"), "/spec/apply", json!(name))),
        create(&with(database("new"), "/spec/version", json!(name))),
        create(&version("99.1", &name)),
        with(create(&opsrequest("17.11")), "/operation", json!(name)),
        json!(name),
    ];
    for request in texts {
        let (_, text) = Cluster::new().post("/validate", json!({ "request": request }).to_string()).await;
        assert!(text.len() < 256 * 1024, "{} bytes: {}…", text.len(), &text[..100]);
    }
    let upgrade =
        with(opsrequest("17.11"), "/spec", json!({"type": "Upgrade", "upgrade": {"targetVersion": name}}));
    let (_, text) = Cluster::new().post("/mutate", json!({"request": create(&upgrade)}).to_string()).await;
    assert!(text.len() < 1024, "{} bytes", text.len());
}

#[tokio::test]
async fn spec_with_too_many_values_is_denied_without_being_parsed() {
    let maps: Vec<_> = (0..40_000).map(|_| json!({"a": 0})).collect();
    let template = with(database("new"), "/spec/podTemplate", json!(maps));
    assert_snapshot!(Cluster::new().denial(create(&template)).await, @"
    422 Invalid Unreadable spec
    failed to read the Postgres: spec: it has more than 50000 values: pgops reads no object as large as that
    ");
    let response = Cluster::new().review("/mutate", create(&template)).await;
    assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    // One that was stored before passes.
    let update = review("UPDATE", Some(&database("new")), Some(&template));
    assert_eq!(Cluster::new().validate(update).await["allowed"], true);
}

#[tokio::test]
async fn warnings_are_few_whatever_the_object_contains() {
    let constraints: Vec<_> = (0..10_000).map(|_| json!("< 1, > 2")).collect();
    let entry = with(version("99.1", ""), "/spec/updateConstraints", json!({"denylist": constraints}));
    assert!(Cluster::new().warnings(create(&entry)).await.len() <= 64);
}
