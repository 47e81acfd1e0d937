//! Databases that pgops does not manage, and requests that it does not execute: KubeDB's operators decide about these.

use super::*;

/// Everything that a rule is about, wrong.
fn wrong(label: Option<&str>) -> Value {
    let mut wrong = with(with(database("orders"), "/spec/version", json!("99")), "/spec/replicas", json!(3));
    wrong["spec"]["tls"] = json!({"issuerRef": {"name": "ca"}});
    if let Some(value) = label {
        wrong["metadata"]["labels"] = json!({"pgops.dev/managed": value});
    }
    wrong
}

fn labelled(managed: ManagedDatabases, database: Value) -> Cluster {
    Cluster { managed, databases: vec![database], ..Cluster::new() }
}

#[tokio::test]
async fn unmanaged_database_is_neither_judged_nor_changed() {
    for (managed, label) in [(ManagedDatabases::Labelled, None), (ManagedDatabases::All, Some("false"))] {
        let theirs = wrong(label);
        let cluster = labelled(managed, theirs.clone());
        assert!(cluster.warnings(create(&theirs)).await.is_empty());
        assert_eq!(cluster.stored(create(&theirs)).await.0, theirs, "no defaults");
        let changed = with(theirs.clone(), "/spec/version", json!("17.11"));
        assert!(cluster.warnings(review("UPDATE", Some(&changed), Some(&theirs))).await.is_empty());
        let protected = with(theirs, "/spec/deletionPolicy", json!("DoNotTerminate"));
        assert!(cluster.warnings(review("DELETE", None, Some(&protected))).await.is_empty());
    }
}

#[tokio::test]
async fn request_for_an_unmanaged_database_is_left_alone() {
    let cluster = labelled(ManagedDatabases::Labelled, wrong(None));
    let request = with(opsrequest("no-such-version"), "/spec/timeout", json!("soon"));
    assert!(cluster.warnings(create(&request)).await.is_empty());
    assert_eq!(cluster.stored(create(&request)).await.0, request, "no defaults");
    let changed = with(request.clone(), "/spec/timeout", json!("later"));
    assert!(cluster.warnings(review("UPDATE", Some(&changed), Some(&request))).await.is_empty());
}

#[tokio::test]
async fn request_that_needs_the_provisioner_is_left_alone_without_it() {
    let mut restart = with(opsrequest("x"), "/spec/type", json!("Restart"));
    restart["metadata"]["name"] = json!("restart");
    restart["spec"].as_object_mut().unwrap().remove("updateVersion");
    // What would be denied of a request that is executed.
    restart["spec"]["timeout"] = json!("soon");
    let mut cluster = Cluster { executed: ExecutedRequests::Upgrades, ..Cluster::new() };
    assert_eq!(
        cluster.warnings(create(&restart)).await,
        [
            "pgops executes requests of type UpdateVersion only, since it was installed without its provisioner \
          (provisioner.enabled: false); it ignores this one of type Restart"
        ]
    );
    assert_eq!(cluster.stored(create(&restart)).await.0, restart, "no defaults");
    let expansion = with(restart.clone(), "/spec/type", json!("VolumeExpansion"));
    assert_eq!(cluster.warnings(create(&expansion)).await.len(), 1);
    // It does not hold the queue either.
    cluster.requests = vec![with(restart, "/status", json!({"phase": "Progressing"}))];
    assert!(cluster.denial(create(&opsrequest("99"))).await.contains("UnknownTarget"));
    assert!(!cluster.warnings(create(&opsrequest("17.11"))).await.is_empty());
}

#[tokio::test]
async fn managed_database_is_judged_until_it_is_handed_over() {
    for (managed, label) in [(ManagedDatabases::Labelled, Some("true")), (ManagedDatabases::All, None)] {
        let ours = wrong(label);
        assert!(labelled(managed, ours.clone()).denial(create(&ours)).await.contains("UnknownVersion"));
        // The label alone may change, and the spec not with it.
        let mut handed_over = with(database("orders"), "/spec/version", json!("17.11"));
        handed_over["metadata"]["labels"] = json!({"pgops.dev/managed": "false"});
        let mut old = database("orders");
        old["metadata"]["labels"] = ours["metadata"]["labels"].clone();
        let update = review("UPDATE", Some(&handed_over), Some(&old));
        assert!(labelled(managed, old).denial(update).await.contains("VersionGuarded"));
    }
}
