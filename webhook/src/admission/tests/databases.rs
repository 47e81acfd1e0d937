//! What a user who applies or deletes a `Postgres` is told.

use super::*;
use insta::assert_snapshot;

#[tokio::test]
async fn admits_a_new_database_silently() {
    assert!(Cluster::new().warnings(create(&database("new"))).await.is_empty());
}

#[tokio::test]
async fn admits_a_manifest_of_the_older_api() {
    let mut old = with(database("new"), "/spec/terminationPolicy", json!("WipeOut"));
    old["apiVersion"] = json!("kubedb.com/v1alpha2");
    assert!(Cluster::new().warnings(create(&old)).await.is_empty());
}

#[tokio::test]
async fn refuses_a_version_that_is_not_in_the_catalog() {
    let mut cluster = Cluster::new();
    let unknown = with(database("new"), "/spec/version", json!("13.1"));
    assert_snapshot!(cluster.refusal(create(&unknown)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: there is no PostgresVersion "13.1"; did you mean 13.16? The catalog has 18.6, 17.12, 17.12-alpine, 17.11, 15.20, 15.20-gis, 13.23, 13.16
    "#);
    let broken = with(database("new"), "/spec/version", json!("broken"));
    assert_snapshot!(cluster.refusal(create(&broken)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: PostgresVersion "broken" is ignored: "thirteen" is no version: expected numbers such as "16.10"; mend its spec.version. The catalog has 18.6, 17.12, 17.12-alpine, 17.11, 15.20, 15.20-gis, 13.23, 13.16
    "#);
    cluster.versions.clear();
    assert_snapshot!(cluster.refusal(create(&unknown)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: there is no PostgresVersion "13.1". The catalog is empty: create PostgresVersions first
    "#);
}

#[tokio::test]
async fn refuses_standbys_and_a_database_without_a_size() {
    let refusal = async |object: Value| Cluster::new().refusal(create(&object)).await;
    assert_snapshot!(refusal(with(database("new"), "/spec/replicas", json!(3))).await, @"
    403 Forbidden ReplicasUnsupported spec.replicas
    spec.replicas: 3 is not supported: pgops runs databases of one server, and has no replication yet; set spec.replicas: 1
    ");
    assert_snapshot!(refusal(without(database("new"), "/spec/storage")).await, @r#"
    422 Invalid StorageMissing spec.storage.resources.requests.storage
    spec.storage.resources.requests.storage: a Durable database needs a size, such as "1Gi"; or set spec.storageType: Ephemeral
    "#);
    let empty = with(database("new"), "/spec/storage", json!({"accessModes": ["ReadWriteOnce"]}));
    assert!(refusal(without(empty, "/spec/storageType")).await.contains("StorageMissing"));
}

#[tokio::test]
async fn warns_of_an_outdated_version_and_of_storage_that_does_not_last() {
    let mut cluster = Cluster::new();
    cluster.versions[0]["spec"]["endOfLife"] = json!(true);
    cluster.versions[1]["spec"]["deprecated"] = json!(true);
    let ephemeral = with(database("new"), "/spec/storageType", json!("Ephemeral"));
    let warnings = cluster.warnings(create(&without(ephemeral, "/spec/storage"))).await;
    assert_snapshot!(warnings.join("\n"), @"
    13.16 is at its end of life: PostgreSQL no longer mends this major version
    storageType Ephemeral: the data is gone with its pod, and the database cannot be upgraded
    ");
    let deprecated = with(database("new"), "/spec/version", json!("13.23"));
    assert_snapshot!(cluster.warnings(create(&deprecated)).await.join("\n"), @"13.23 is deprecated: choose a newer version if you can");
}

#[tokio::test]
async fn refuses_one_field_under_two_names() {
    let both = with(database("new"), "/spec/terminationPolicy", json!("WipeOut"));
    let both = with(both, "/spec/deletionPolicy", json!("Delete"));
    assert_snapshot!(Cluster::new().refusal(create(&both)).await, @"
    422 Invalid TwoDeletionPolicies spec.terminationPolicy
    spec.terminationPolicy: this is the older name of spec.deletionPolicy, and both are set: keep spec.deletionPolicy only
    ");
    let old = database("new");
    assert!(Cluster::new().refusal(review("UPDATE", Some(&both), Some(&old))).await.starts_with("422"));
    let labelled = with(both.clone(), "/metadata/labels", json!({"a": "b"}));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&labelled), Some(&both))).await.is_empty());
}

#[tokio::test]
async fn refuses_what_cannot_be_read_unless_it_was_stored_before() {
    let wrong = with(database("new"), "/spec/replicas", json!("three"));
    assert_snapshot!(Cluster::new().refusal(create(&wrong)).await, @r#"
    422 Invalid Unreadable spec
    failed to read the Postgres: spec.replicas: invalid type: string "three", expected i32
    "#);
    let changed = with(wrong.clone(), "/spec/halted", json!(true));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&changed), Some(&wrong))).await.is_empty());
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&wrong))).await.is_empty());
}

#[tokio::test]
async fn refuses_to_add_standbys_but_not_to_change_anything_else() {
    let old = database("orders");
    let more = with(old.clone(), "/spec/replicas", json!(2));
    assert!(
        Cluster::new().refusal(review("UPDATE", Some(&more), Some(&old))).await.contains("spec.replicas: 2")
    );
    let halted = with(more.clone(), "/spec/halted", json!(true));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&halted), Some(&more))).await.is_empty());
    assert!(Cluster::new().warnings(review("UPDATE", Some(&old), Some(&more))).await.is_empty());
}

#[tokio::test]
async fn says_that_a_version_changed_by_hand_upgrades_nothing() {
    let old = database("orders");
    let new = with(old.clone(), "/spec/version", json!("17.11"));
    let mut cluster = Cluster::new();
    let update = review("UPDATE", Some(&new), Some(&old));
    assert_snapshot!(cluster.warnings(update.clone()).await.join("\n"), @"spec.version of demo/orders was changed by hand, 13.16 to 17.11: that upgrades nothing; set it back, and apply a PostgresOpsRequest");
    cluster.requests = vec![with(opsrequest("17.11"), "/status", json!({"phase": "Progressing"}))];
    assert!(cluster.warnings(update).await.is_empty(), "the runner writes the version");
    let unknown = with(old.clone(), "/spec/version", json!("99"));
    assert!(cluster.refusal(review("UPDATE", Some(&unknown), Some(&old))).await.contains("UnknownVersion"));
}

#[tokio::test]
async fn protects_a_database_from_deletion_and_names_the_remedy() {
    let protected = with(database("orders"), "/spec/deletionPolicy", json!("DoNotTerminate"));
    assert_snapshot!(Cluster::new().refusal(review("DELETE", None, Some(&protected))).await, @r#"
    403 Forbidden DoNotTerminate spec.deletionPolicy
    demo/orders has deletionPolicy DoNotTerminate, so it is not deleted: to delete it all the same, first run kubectl patch pg orders -n demo --type merge -p '{"spec":{"deletionPolicy":"Halt"}}' (Halt keeps its claims and secrets, Delete its secrets, WipeOut nothing)
    "#);
    let older = with(database("orders"), "/spec/terminationPolicy", json!("DoNotTerminate"));
    let text = Cluster::new().refusal(review("DELETE", None, Some(&older))).await;
    assert!(text.contains(r#"-p '{"spec":{"terminationPolicy":"Halt"}}'"#), "{text}");
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&database("orders")))).await.is_empty());
}
