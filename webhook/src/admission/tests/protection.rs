//! Reviews of what holds the data of databases: namespaces and volume claims.

use super::*;
use insta::assert_snapshot;

fn delete(object: &Value) -> Value {
    review("DELETE", None, Some(object))
}

fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

/// The volume claim of that name in namespace demo, as a StatefulSet creates it.
fn claim(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name, "namespace": "demo", "labels": { "app.kubernetes.io/instance": "orders" },
            "annotations": { "pgops.dev/database-uid": "uid-of-orders", "volume.kubernetes.io/selected-node": "a" },
        },
        "spec": { "accessModes": ["ReadWriteOnce"] },
    })
}

fn leaving(object: Value) -> Value {
    with(object, "/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z"))
}

fn protected(name: &str) -> Value {
    with(database(name), "/spec/deletionPolicy", json!("DoNotTerminate"))
}

#[tokio::test]
async fn namespace_with_a_protected_database_is_not_deleted() {
    let mut cluster = Cluster::new();
    assert!(cluster.warnings(delete(&namespace("demo"))).await.is_empty());
    cluster.databases.push(protected("kept"));
    assert_snapshot!(cluster.denial(delete(&namespace("demo"))).await, @r#"
    403 Forbidden DoNotTerminate metadata.name
    namespace demo has databases with deletionPolicy DoNotTerminate, and deleting it would delete their data: Postgres kept. To delete it anyway, first give each of them another policy, for example kubectl patch pg kept -n demo --type merge -p '{"spec":{"deletionPolicy":"Delete"}}'; no policy keeps volume claims when their namespace is deleted
    "#);
    assert!(cluster.warnings(delete(&namespace("other"))).await.is_empty());
    assert!(cluster.warnings(delete(&leaving(namespace("demo")))).await.is_empty());

    // Deleted before: it still serves.
    cluster.databases = vec![leaving(protected("kept"))];
    assert!(cluster.denial(delete(&namespace("demo"))).await.contains("DoNotTerminate"));
    cluster.databases = ["a", "b", "c", "d", "e"].map(protected).into();
    let text = cluster.denial(delete(&namespace("demo"))).await;
    assert!(text.contains("Postgres a, b, c and 2 more"), "{text}");
}

#[tokio::test]
async fn namespace_is_otherwise_never_blocked() {
    let mut cluster = Cluster::new();
    cluster.databases.push(protected("kept"));
    let old = namespace("demo");
    let labelled = with(old.clone(), "/metadata/labels", json!({ "a": "b" }));
    assert!(cluster.warnings(review("UPDATE", Some(&labelled), Some(&old))).await.is_empty());
    // The namespace controller removes the finalizer of the spec.
    let finalized = with(review("UPDATE", Some(&old), Some(&old)), "/subResource", json!("finalize"));
    assert!(cluster.warnings(finalized).await.is_empty());
    // A deletion whose object the API server does not send cannot be judged.
    assert!(cluster.warnings(without(delete(&old), "/oldObject")).await.is_empty());
}

#[tokio::test]
async fn claim_of_a_database_is_not_deleted() {
    let cluster = Cluster::new();
    assert_snapshot!(cluster.denial(delete(&claim("data-orders-0"))).await, @"
    403 Forbidden InUse metadata.name
    data-orders-0 holds the data of Postgres demo/orders, which is lost when its pod stops: delete the Postgres instead (kubectl delete pg orders -n demo), whose deletionPolicy says what becomes of the claim. To delete the claim anyway: kubectl annotate pvc data-orders-0 -n demo pgops.dev/override-guards=true
    ");
    // As `kubectl delete pvc --all` does: the request has no name.
    let of_all = with(delete(&claim("data-orders-0")), "/name", json!(""));
    assert!(cluster.denial(of_all).await.contains("data-orders-0 holds the data of Postgres demo/orders"));

    let overridden =
        with(claim("data-orders-0"), "/metadata/annotations", json!({ "pgops.dev/override-guards": "true" }));
    assert_snapshot!(cluster.warnings(delete(&overridden)).await.join("\n"), @"the data of Postgres demo/orders is lost when its pod stops: it is on data-orders-0, whose deletion the annotation pgops.dev/override-guards allowed");
}

#[tokio::test]
async fn claim_without_a_database_may_be_deleted() {
    let mut cluster = Cluster::new();
    for unused in ["data-orders-1", "data-billing-0", "data-orders-00", "backup-orders-0", "orders"] {
        assert!(cluster.warnings(delete(&claim(unused))).await.is_empty(), "{unused}");
    }
    assert!(
        cluster.warnings(delete(&leaving(claim("data-orders-0")))).await.is_empty(),
        "it is being deleted"
    );
    let elsewhere = with(delete(&claim("data-orders-0")), "/namespace", json!("other"));
    assert!(cluster.warnings(elsewhere).await.is_empty());
    // It is being deleted, and the provisioner or its owner removes what it leaves.
    cluster.databases = vec![leaving(database("orders"))];
    assert!(cluster.warnings(delete(&claim("data-orders-0"))).await.is_empty());
    cluster.databases = vec![with(database("orders"), "/spec/storageType", json!("Ephemeral"))];
    assert!(cluster.warnings(delete(&claim("data-orders-0"))).await.is_empty());
}

#[tokio::test]
async fn claim_of_a_halted_database_is_not_deleted() {
    let mut cluster = Cluster::new();
    cluster.databases = vec![with(database("orders"), "/spec/halted", json!(true))];
    assert!(cluster.denial(delete(&claim("data-orders-0"))).await.contains("InUse"));
}
