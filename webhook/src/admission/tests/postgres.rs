//! Reviews of `Postgres` objects.

use super::*;
use insta::assert_snapshot;

#[tokio::test]
async fn new_database_is_admitted_without_warnings() {
    assert!(Cluster::new().warnings(create(&database("new"))).await.is_empty());
}

#[tokio::test]
async fn manifest_of_the_previous_api_version_is_admitted() {
    let mut old = with(database("new"), "/spec/terminationPolicy", json!("WipeOut"));
    old["apiVersion"] = json!("kubedb.com/v1alpha2");
    assert!(Cluster::new().warnings(create(&old)).await.is_empty());
}

#[tokio::test]
async fn version_missing_from_the_catalog_is_denied() {
    let mut cluster = Cluster::new();
    let unknown = with(database("new"), "/spec/version", json!("13.1"));
    assert_snapshot!(cluster.denial(create(&unknown)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: there is no PostgresVersion "13.1"; did you mean 13.16? The catalog has 18.6, 17.12, 17.12-alpine, 17.11, 15.20, 15.20-gis, 13.23, 13.16
    "#);
    let broken = with(database("new"), "/spec/version", json!("broken"));
    assert_snapshot!(cluster.denial(create(&broken)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: PostgresVersion "broken" is ignored: "thirteen" is not a version: expected numbers such as "16.10"; correct its spec.version. The catalog has 18.6, 17.12, 17.12-alpine, 17.11, 15.20, 15.20-gis, 13.23, 13.16
    "#);
    cluster.versions.clear();
    assert_snapshot!(cluster.denial(create(&unknown)).await, @r#"
    403 Forbidden UnknownVersion spec.version
    spec.version: there is no PostgresVersion "13.1". The catalog is empty: create PostgresVersions first
    "#);
}

#[tokio::test]
async fn standbys_and_missing_storage_size_are_denied() {
    let denial = async |object: Value| Cluster::new().denial(create(&object)).await;
    assert_snapshot!(denial(with(database("new"), "/spec/replicas", json!(3))).await, @"
    403 Forbidden ReplicasUnsupported spec.replicas
    spec.replicas: 3 is not supported: pgops runs one server per database and has no replication yet; set spec.replicas: 1
    ");
    assert_snapshot!(denial(without(database("new"), "/spec/storage")).await, @r#"
    422 Invalid StorageMissing spec.storage.resources.requests.storage
    spec.storage.resources.requests.storage: a Durable database requires a size, such as "1Gi"; or set spec.storageType: Ephemeral
    "#);
    let empty = with(database("new"), "/spec/storage", json!({"accessModes": ["ReadWriteOnce"]}));
    assert!(denial(without(empty, "/spec/storageType")).await.contains("StorageMissing"));
}

#[tokio::test]
async fn outdated_version_and_ephemeral_storage_get_warnings() {
    let mut cluster = Cluster::new();
    cluster.versions[0]["spec"]["endOfLife"] = json!(true);
    cluster.versions[1]["spec"]["deprecated"] = json!(true);
    let ephemeral = with(database("new"), "/spec/storageType", json!("Ephemeral"));
    let warnings = cluster.warnings(create(&without(ephemeral, "/spec/storage"))).await;
    assert_snapshot!(warnings.join("\n"), @"
    13.16 is end of life: the PostgreSQL project no longer releases fixes for this major version
    storageType Ephemeral: the data is lost with its pod, and the database cannot be upgraded
    ");
    let deprecated = with(database("new"), "/spec/version", json!("13.23"));
    assert_snapshot!(cluster.warnings(create(&deprecated)).await.join("\n"), @"13.23 is deprecated: choose a newer version if you can");
}

#[tokio::test]
async fn two_deletion_policies_are_denied() {
    let both = with(database("new"), "/spec/terminationPolicy", json!("WipeOut"));
    let both = with(both, "/spec/deletionPolicy", json!("Delete"));
    assert_snapshot!(Cluster::new().denial(create(&both)).await, @"
    422 Invalid TwoDeletionPolicies spec.terminationPolicy
    spec.terminationPolicy: deprecated alias of spec.deletionPolicy, and both are set: keep only spec.deletionPolicy
    ");
    let old = database("new");
    assert!(Cluster::new().denial(review("UPDATE", Some(&both), Some(&old))).await.starts_with("422"));
    let labelled = with(both.clone(), "/metadata/labels", json!({"a": "b"}));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&labelled), Some(&both))).await.is_empty());
}

#[tokio::test]
async fn unreadable_object_is_denied_unless_already_stored() {
    let wrong = with(database("new"), "/spec/replicas", json!("three"));
    assert_snapshot!(Cluster::new().denial(create(&wrong)).await, @r#"
    422 Invalid Unreadable spec
    failed to read the Postgres: spec.replicas: invalid type: string "three", expected i32
    "#);
    let changed = with(wrong.clone(), "/spec/halted", json!(true));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&changed), Some(&wrong))).await.is_empty());
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&wrong))).await.is_empty());
}

#[tokio::test]
async fn adding_standbys_is_denied_and_other_changes_pass() {
    let old = database("orders");
    let more = with(old.clone(), "/spec/replicas", json!(2));
    assert!(
        Cluster::new().denial(review("UPDATE", Some(&more), Some(&old))).await.contains("spec.replicas: 2")
    );
    let halted = with(more.clone(), "/spec/halted", json!(true));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&halted), Some(&more))).await.is_empty());
    assert!(Cluster::new().warnings(review("UPDATE", Some(&old), Some(&more))).await.is_empty());
}

#[tokio::test]
async fn standbys_are_admitted_where_they_are_enabled() {
    let cluster = Cluster { standbys: StandbySupport::Enabled, ..Cluster::new() };
    let three = with(database("new"), "/spec/replicas", json!(3));
    let three = with(three, "/spec/streamingMode", json!("Synchronous"));
    assert!(cluster.warnings(create(&three)).await.is_empty());
    let one = with(three, "/spec/replicas", json!(1));
    assert_snapshot!(cluster.denial(create(&one)).await, @r#"
    422 Invalid InvalidReplication spec.streamingMode
    spec.streamingMode: "Synchronous" requires a standby, and the database has one server: set spec.replicas: 3, or omit spec.streamingMode
    "#);
    let old = initialized();
    let more = with(old.clone(), "/spec/replicas", json!(3));
    assert_snapshot!(cluster.denial(review("UPDATE", Some(&more), Some(&old))).await, @"
    403 Forbidden ReplicasUnsupported spec.replicas
    spec.replicas: 3 is not supported: a database that was started with one server cannot get standbys yet; keep 1
    ");
}

/// demo/orders after its first server has answered.
pub fn initialized() -> Value {
    with(database("orders"), "/metadata/annotations", json!({"pgops.dev/initialized": "true"}))
}

pub fn version_change(old: &Value, to: &str) -> Value {
    review("UPDATE", Some(&with(old.clone(), "/spec/version", json!(to))), Some(old))
}

pub fn by(mut review: Value, user: &str) -> Value {
    review["userInfo"]["username"] = json!(user);
    review
}

#[tokio::test]
async fn manual_version_change_is_denied_with_a_request_to_apply() {
    let denial = async |to: &str| Cluster::new().denial(version_change(&initialized(), to)).await;
    assert_snapshot!(denial("17.11").await, @r#"
    403 Forbidden VersionGuarded spec.version
    spec.version of demo/orders must stay 13.16 until an upgrade has converted the data. The catalog allows 13.16 → 17.11: leave spec.version unchanged and apply the request below; if a GitOps tool applies both, annotate the Postgres with pgops.dev/version-change: by-request
    apiVersion: ops.kubedb.com/v1alpha1
    kind: PostgresOpsRequest
    metadata: { name: "orders-17.11", namespace: "demo" }
    spec: { type: UpdateVersion, databaseRef: { name: "orders" }, updateVersion: { targetVersion: "17.11" } }
    "#);
    assert_snapshot!(denial("18.6").await, @r#"
    403 Forbidden VersionGuarded spec.version
    spec.version of demo/orders must stay 13.16 until an upgrade has converted the data, and the catalog does not allow this upgrade: upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow ">= 13.16, < 18". Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23. In two upgrades: 13.16 → 17.12 → 18.6
    "#);
    assert!(denial("99").await.contains("there is no PostgresVersion \"99\""));
}

#[tokio::test]
async fn uninitialised_database_must_be_created_again() {
    assert_snapshot!(Cluster::new().denial(version_change(&database("orders"), "17.11")).await, @"
    403 Forbidden VersionGuarded spec.version
    spec.version of demo/orders must stay 13.16 until an upgrade has converted the data. demo/orders was never initialised: to start with another version, delete it and create it again
    ");
}

#[tokio::test]
async fn outdated_manifest_after_an_upgrade_is_denied_with_a_fix() {
    let mut cluster = Cluster::new();
    let upgraded = with(initialized(), "/spec/version", json!("17.11"));
    let mut done = opsrequest("17.11");
    done["status"] = json!({"phase": "Successful", "from": "13.16"});
    cluster.requests = vec![done.clone()];
    assert_snapshot!(cluster.denial(version_change(&upgraded, "13.16")).await, @r#"
    403 Forbidden VersionReverted spec.version
    spec.version 13.16 is outdated: PostgresOpsRequest orders-up has upgraded demo/orders, whose data now has version 17.11; set version: "17.11" in the manifest, in Git if it is applied from there
    "#);
    for (phase, from, database) in [
        ("Failed", "13.16", "orders"),
        ("Successful", "13.23", "orders"),
        ("Successful", "13.16", "customers"),
    ] {
        done["status"] = json!({"phase": phase, "from": from});
        done["spec"]["databaseRef"]["name"] = json!(database);
        cluster.requests = vec![done.clone()];
        let text = cluster.denial(version_change(&upgraded, "13.16")).await;
        assert!(text.contains("VersionGuarded") && text.contains("17 → 13"), "{text}");
    }
}

#[tokio::test]
async fn only_the_worker_of_an_active_request_sets_the_version() {
    let mut cluster = Cluster::new();
    let mut request = with(opsrequest("17.11"), "/metadata/uid", json!("3f9c21aa-1111"));
    request["status"] = json!({"phase": "Progressing", "from": "13.16"});
    cluster.requests = vec![request.clone()];
    let change = || version_change(&initialized(), "17.11");
    let worker = "system:serviceaccount:demo:pgops-worker-orders-up-3f9c21aa";
    assert!(cluster.warnings(by(change(), worker)).await.is_empty());
    for other in [
        "ada",
        "",
        "orders-up-3f9c21aa",
        "system:serviceaccount:other:pgops-worker-orders-up-3f9c21aa",
        "system:serviceaccount:demo:pgops-worker-orders-up-3f9c21ab",
        "system:serviceaccount:kubedb:kubedb-ops-manager",
    ] {
        assert!(cluster.denial(by(change(), other)).await.contains("RequestActive"), "{other}");
    }
    assert_snapshot!(cluster.denial(change()).await, @"
    403 Forbidden RequestActive spec.version
    spec.version of demo/orders is set by PostgresOpsRequest orders-up (Progressing, to 17.11) once the data has that version: leave spec.version unchanged until the request has ended (kubectl get pgops orders-up -n demo -w)
    ");

    // Past the point of no return, not even a missing catalog entry may stop it.
    cluster.versions.clear();
    assert!(cluster.warnings(by(change(), worker)).await.is_empty());

    request["status"]["phase"] = json!("Failed");
    cluster.requests = vec![request.clone()];
    assert!(cluster.denial(by(change(), worker)).await.contains("VersionGuarded"));
    request["status"]["phase"] = json!("Progressing");
    request["spec"]["databaseRef"]["name"] = json!("customers");
    cluster.requests = vec![request];
    assert!(cluster.denial(by(change(), worker)).await.contains("VersionGuarded"));
}

#[tokio::test]
async fn override_allows_a_manual_version_change_with_a_warning() {
    let overridden = |value: &str| {
        let note = json!({"pgops.dev/initialized": "true", "pgops.dev/override-guards": value});
        with(database("orders"), "/metadata/annotations", note)
    };
    let old = overridden("true");
    assert_snapshot!(Cluster::new().warnings(version_change(&old, "17.11")).await.join("\n"), @"spec.version of demo/orders was changed manually from 13.16 to 17.11, which does not convert the data; remove the annotation pgops.dev/override-guards afterwards");
    // In the same write as the annotation.
    let new = with(old.clone(), "/spec/version", json!("17.11"));
    let both = review("UPDATE", Some(&new), Some(&initialized()));
    assert_eq!(Cluster::new().warnings(both).await.len(), 1);
    let taken_away =
        review("UPDATE", Some(&with(initialized(), "/spec/version", json!("17.11"))), Some(&old));
    assert!(Cluster::new().denial(taken_away).await.contains("VersionGuarded"));

    let no = overridden("false");
    assert!(Cluster::new().denial(version_change(&no, "17.11")).await.contains("VersionGuarded"));
    assert!(Cluster::new().denial(version_change(&old, "99")).await.contains("UnknownVersion"));
}

#[tokio::test]
async fn storage_type_is_immutable_even_if_defaulted() {
    let durable = database("orders");
    let unsaid = without(durable.clone(), "/spec/storageType");
    let ephemeral = with(durable.clone(), "/spec/storageType", json!("Ephemeral"));
    for (new, old) in [(&ephemeral, &durable), (&ephemeral, &unsaid), (&unsaid, &ephemeral)] {
        let text = Cluster::new().denial(review("UPDATE", Some(new), Some(old))).await;
        assert!(text.starts_with("422 Invalid Immutable spec.storageType"), "{text}");
    }
    for (new, old) in [(&unsaid, &durable), (&durable, &unsaid)] {
        assert!(Cluster::new().warnings(review("UPDATE", Some(new), Some(old))).await.is_empty());
    }
}

#[tokio::test]
async fn deletion_during_an_upgrade_is_denied() {
    let mut cluster = Cluster::new();
    let mut request = opsrequest("17.11");
    request["status"] = json!({"phase": "Progressing", "from": "13.16", "step": "6/14 PgUpgraded"});
    cluster.requests = vec![request.clone()];
    let delete = |object: &Value| review("DELETE", None, Some(object));
    assert_snapshot!(cluster.denial(delete(&database("orders"))).await, @"
    403 Forbidden UpgradeInProgress metadata.name
    demo/orders is being upgraded from 13.16 to 17.11 by PostgresOpsRequest orders-up (6/14 PgUpgraded). If it is deleted now, an interrupted upgrade can neither be resumed nor rolled back, and its data is deleted as soon as the upgrade releases it (deletionPolicy Delete). Wait until the request has ended (kubectl get pgops orders-up -n demo -w), or delete the request, which rolls the upgrade back if that is still possible (kubectl delete pgops orders-up -n demo); deleting the namespace does so by itself and retries. To delete the database anyway: kubectl annotate pg orders -n demo pgops.dev/override-guards=true
    ");
    assert!(cluster.warnings(delete(&database("customers"))).await.is_empty());

    let overridden =
        with(database("orders"), "/metadata/annotations", json!({"pgops.dev/override-guards": "true"}));
    let halted = with(overridden.clone(), "/spec/deletionPolicy", json!("Halt"));
    assert_snapshot!(cluster.warnings(delete(&halted)).await.join("\n"), @"demo/orders is deleted while PostgresOpsRequest orders-up upgrades it (pgops.dev/override-guards): its volume claims and Secrets are kept, with the data as the upgrade leaves it");
    let protected = with(overridden, "/spec/deletionPolicy", json!("DoNotTerminate"));
    assert!(cluster.denial(delete(&protected)).await.contains("DoNotTerminate"));

    // Deleting a namespace deletes both, and must not wait for a worker that it has killed.
    request["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
    cluster.requests = vec![request.clone()];
    assert_snapshot!(cluster.warnings(delete(&database("orders"))).await.join("\n"), @"demo/orders is deleted while PostgresOpsRequest orders-up is being rolled back: its data is deleted as soon as the upgrade releases it (deletionPolicy Delete)");

    request["metadata"]["deletionTimestamp"].take();
    for phase in ["Pending", "Successful", "Failed"] {
        request["status"]["phase"] = json!(phase);
        cluster.requests = vec![request.clone()];
        assert!(cluster.warnings(delete(&database("orders"))).await.is_empty(), "{phase}");
    }
}

#[tokio::test]
async fn metadata_status_and_finalizers_are_never_blocked() {
    let mut cluster = Cluster::new();
    cluster.requests = vec![with(opsrequest("17.11"), "/status", json!({"phase": "Progressing"}))];
    cluster.versions.clear();
    let old = initialized();
    let labelled = with(old.clone(), "/metadata/labels", json!({"a": "b"}));
    let annotated = with(old.clone(), "/metadata/annotations", json!({}));
    let finalized = with(old.clone(), "/metadata/finalizers", json!([]));
    let paused = with(old.clone(), "/status", json!({"phase": "NotReady"}));
    for new in [&labelled, &annotated, &finalized, &paused] {
        assert!(cluster.warnings(review("UPDATE", Some(new), Some(&old))).await.is_empty());
    }
    let changed = with(old.clone(), "/spec/version", json!("17.11"));
    let status = with(review("UPDATE", Some(&changed), Some(&old)), "/subResource", json!("status"));
    assert!(cluster.warnings(status).await.is_empty());
    let leaving = with(changed, "/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z"));
    assert!(cluster.warnings(review("UPDATE", Some(&leaving), Some(&old))).await.is_empty());
}

#[tokio::test]
async fn deletion_of_a_protected_database_is_denied() {
    let protected = with(database("orders"), "/spec/deletionPolicy", json!("DoNotTerminate"));
    assert_snapshot!(Cluster::new().denial(review("DELETE", None, Some(&protected))).await, @r#"
    403 Forbidden DoNotTerminate spec.deletionPolicy
    demo/orders has deletionPolicy DoNotTerminate, so it cannot be deleted: to delete it anyway, first run kubectl patch pg orders -n demo --type merge -p '{"spec":{"deletionPolicy":"Halt"}}' (Halt keeps its volume claims and Secrets, Delete keeps its Secrets, WipeOut keeps nothing)
    "#);
    let older = with(database("orders"), "/spec/terminationPolicy", json!("DoNotTerminate"));
    let text = Cluster::new().denial(review("DELETE", None, Some(&older))).await;
    assert!(text.contains(r#"-p '{"spec":{"terminationPolicy":"Halt"}}'"#), "{text}");
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&database("orders")))).await.is_empty());
}

#[tokio::test]
async fn deletion_that_orphans_what_the_database_owns_is_denied() {
    let database = database("orders");
    for options in [json!({ "propagationPolicy": "Orphan" }), json!({ "orphanDependents": true })] {
        let mut review = review("DELETE", None, Some(&database));
        review["options"] = options;
        let text = Cluster::new().denial(review).await;
        assert!(text.contains("cannot be deleted with --cascade=orphan"), "{text}");
    }
    let mut foreground = review("DELETE", None, Some(&database));
    foreground["options"] = json!({ "propagationPolicy": "Foreground" });
    assert!(Cluster::new().warnings(foreground).await.is_empty());
}
