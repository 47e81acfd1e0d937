//! Version changes as GitOps tools apply them: the whole commit, again and again.

use super::*;
use insta::assert_snapshot;

/// demo/orders after its first server has answered, with the annotation or without.
fn orders(annotation: Option<&str>) -> Value {
    let mut annotations = json!({"pgops.dev/initialized": "true"});
    if let Some(value) = annotation {
        annotations["pgops.dev/version-change"] = json!(value);
    }
    with(database("orders"), "/metadata/annotations", annotations)
}

fn to_version(old: &Value, to: &str) -> Value {
    review("UPDATE", Some(&with(old.clone(), "/spec/version", json!(to))), Some(old))
}

fn request_in(phase: &str) -> Value {
    with(opsrequest("17.11"), "/status", json!({"phase": phase, "from": "13.16"}))
}

/// The version that is stored, and the warning; an error if the validating webhook then denies the object.
async fn applied(cluster: &Cluster, request: Value) -> Result<(String, Vec<String>), String> {
    let (object, warnings) = cluster.stored(request.clone()).await;
    let version = object["spec"]["version"].as_str().unwrap().to_owned();
    let request = with(request, "/object", object);
    if cluster.validate(request.clone()).await["allowed"] == true {
        return Ok((version, warnings));
    }
    Err(cluster.denial(request).await)
}

#[tokio::test]
async fn version_stays_while_a_request_changes_it() {
    let mut cluster = Cluster::new();
    for phase in ["Pending", "Progressing", "Approved"] {
        cluster.requests = vec![request_in(phase)];
        let (version, warnings) = applied(&cluster, to_version(&orders(None), "17.11")).await.unwrap();
        assert_eq!(version, "13.16", "{phase}");
        assert!(warnings[0].contains(&format!("PostgresOpsRequest orders-up ({phase}) changes it to 17.11")));
    }
    assert_snapshot!(
        applied(&cluster, to_version(&orders(None), "17.11")).await.unwrap().1.join("\n"),
        @"spec.version of demo/orders stays 13.16 for now: PostgresOpsRequest orders-up (Approved) changes it to 17.11 once the data has that version"
    );
    let other = applied(&cluster, to_version(&orders(None), "15.20")).await.unwrap_err();
    assert!(other.contains("RequestActive"), "{other}");
}

#[tokio::test]
async fn version_is_not_kept_for_a_request_that_changes_nothing() {
    let mut cluster = Cluster::new();
    let annotated =
        with(request_in("Pending"), "/metadata/annotations", json!({"pgops.dev/dry-run": "true"}));
    let mut recorded = request_in("Progressing");
    recorded["status"]["conditions"] =
        json!([{"type": "DryRun", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"}]);
    let mut elsewhere = request_in("Progressing");
    elsewhere["spec"]["databaseRef"]["name"] = json!("customers");
    for request in [annotated, recorded, elsewhere, request_in("Failed")] {
        cluster.requests = vec![request.clone()];
        let denial = applied(&cluster, to_version(&orders(None), "17.11")).await.unwrap_err();
        assert!(denial.contains("spec.version"), "{request}: {denial}");
    }
}

#[tokio::test]
async fn outdated_manifest_is_applied_without_its_version() {
    let mut cluster = Cluster::new();
    cluster.requests = vec![request_in("Successful")];
    let upgraded = with(orders(None), "/spec/version", json!("17.11"));
    let (version, warnings) = applied(&cluster, to_version(&upgraded, "13.16")).await.unwrap();
    assert_eq!(version, "17.11");
    assert_snapshot!(warnings.join("\n"), @r#"spec.version of demo/orders stays 17.11: 13.16 is outdated, since PostgresOpsRequest orders-up has upgraded the database; set version: "17.11" in the manifest"#);
    // KubeDB's schema drops status.from.
    let acknowledged = json!({"type": "Acknowledged", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
        "message": "the database has PostgresVersion 13.16"});
    cluster.requests[0]["status"] = json!({"phase": "Successful", "conditions": [acknowledged]});
    assert_eq!(applied(&cluster, to_version(&upgraded, "13.16")).await.unwrap().0, "17.11");
    let denial = applied(&cluster, to_version(&upgraded, "13.23")).await.unwrap_err();
    assert!(denial.contains("VersionGuarded"), "another version: {denial}");
}

/// demo/orders whose volume has this size, the size that a request has set or another one.
fn sized(size: &str, by_request: Option<&str>) -> Value {
    let mut orders = orders(None);
    orders["spec"]["storage"]["resources"]["requests"]["storage"] = json!(size);
    if let Some(size) = by_request {
        orders["metadata"]["annotations"]["pgops.dev/expanded-to"] = json!(size);
    }
    orders
}

/// The size that is stored when a manifest with this one is applied, and the warnings; an error if that is denied.
async fn resized(cluster: &Cluster, old: &Value, size: &Value) -> Result<(Value, Vec<String>), String> {
    let mut new = old.clone();
    new["spec"]["storage"]["resources"]["requests"]["storage"] = size.clone();
    let request = review("UPDATE", Some(&new), Some(old));
    let (object, warnings) = cluster.stored(request.clone()).await;
    let stored = object["spec"]["storage"]["resources"]["requests"]["storage"].clone();
    let request = with(request, "/object", object);
    if cluster.validate(request.clone()).await["allowed"] == true {
        return Ok((stored, warnings));
    }
    Err(cluster.denial(request).await)
}

#[tokio::test]
async fn outdated_manifest_is_applied_without_its_size() {
    let cluster = Cluster::new();
    let expanded = sized("2Gi", Some("2048Mi"));
    let (size, warnings) = resized(&cluster, &expanded, &json!("1Gi")).await.unwrap();
    assert_eq!(size, "2Gi");
    assert_snapshot!(warnings.join("\n"), @"spec.storage of demo/orders stays 2Gi: 1Gi is outdated, since a PostgresOpsRequest has expanded the volume, which cannot shrink; set 2Gi in the manifest");
    assert_eq!(resized(&cluster, &expanded, &json!(1_073_741_824)).await.unwrap().0, "2Gi", "a number");
    assert_eq!(resized(&cluster, &expanded, &json!("3Gi")).await.unwrap(), (json!("3Gi"), vec![]));

    let mut both = Cluster::new();
    both.requests = vec![request_in("Successful")];
    let upgraded = with(expanded, "/spec/version", json!("17.11"));
    let outdated = with(sized("1Gi", Some("2Gi")), "/spec/version", json!("13.16"));
    let (object, warnings) = both.stored(review("UPDATE", Some(&outdated), Some(&upgraded))).await;
    assert_eq!(object["spec"], upgraded["spec"]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[tokio::test]
async fn size_that_no_request_has_set_is_not_kept() {
    let cluster = Cluster::new();
    for old in [sized("2Gi", None), sized("3Gi", Some("2Gi"))] {
        let denial = resized(&cluster, &old, &json!("1Gi")).await.unwrap_err();
        assert!(denial.contains("StorageShrunk"), "{denial}");
    }
    let mut overridden = sized("2Gi", Some("2Gi"));
    overridden["metadata"]["annotations"]["pgops.dev/override-guards"] = json!("true");
    assert_eq!(resized(&cluster, &overridden, &json!("1Gi")).await.unwrap(), (json!("1Gi"), vec![]));
}

#[tokio::test]
async fn annotated_database_waits_for_the_request_of_the_same_commit() {
    let cluster = Cluster::new();
    let annotated = orders(Some("by-request"));
    let dry_run = with(to_version(&annotated, "17.11"), "/dryRun", json!(true));
    for request in [to_version(&annotated, "17.11"), dry_run] {
        let (version, warnings) = applied(&cluster, request).await.unwrap();
        assert_eq!(version, "13.16");
        assert_eq!(
            warnings,
            [
                "spec.version of demo/orders stays 13.16: no active PostgresOpsRequest changes it to 17.11; apply one, or set \
              the version back"
            ]
        );
    }
    for manager in ["kustomize-controller", "argocd-controller", "helm"] {
        let options = json!({"kind": "PatchOptions", "fieldManager": manager});
        let from_tool = with(to_version(&orders(None), "17.11"), "/options", options);
        assert_eq!(applied(&cluster, from_tool).await.unwrap().0, "13.16", "{manager}");
    }
    let by_hand =
        with(to_version(&orders(None), "17.11"), "/options", json!({"fieldManager": "kubectl-edit"}));
    assert!(applied(&cluster, by_hand).await.unwrap_err().contains("by-request"));
    // The annotation may come with the change.
    let both = review(
        "UPDATE",
        Some(&with(annotated.clone(), "/spec/version", json!("17.11"))),
        Some(&orders(None)),
    );
    assert_eq!(applied(&cluster, both).await.unwrap().0, "13.16");
    for (annotation, version) in [(None, "17.11"), (Some("yes"), "17.11")] {
        assert!(applied(&cluster, to_version(&orders(annotation), version)).await.is_err(), "{annotation:?}");
    }
}

#[tokio::test]
async fn matrix_is_told_even_if_a_request_is_to_change_the_version() {
    let annotated = orders(Some("by-request"));
    for (version, part) in
        [("18.6", "In two upgrades: 13.16 → 17.12 → 18.6"), ("99", "there is no PostgresVersion")]
    {
        let denial = applied(&Cluster::new(), to_version(&annotated, version)).await.unwrap_err();
        assert!(denial.contains(part), "{denial}");
    }
    // A request may accept another base system.
    let mut cluster = Cluster::new();
    cluster.versions[0]["spec"]["db"]["baseOS"] = json!("bullseye");
    cluster.versions[3]["spec"]["db"]["baseOS"] = json!("bookworm");
    assert!(applied(&cluster, to_version(&annotated, "17.11")).await.is_ok());
}

#[tokio::test]
async fn version_written_by_a_worker_or_by_hand_is_never_put_back() {
    let mut cluster = Cluster::new();
    cluster.requests = vec![with(request_in("Progressing"), "/metadata/uid", json!("3f9c21aa-1111"))];
    let change = |old: &Value, user: &str| with(to_version(old, "17.11"), "/userInfo/username", json!(user));
    let annotated = orders(Some("by-request"));
    let worker = "system:serviceaccount:demo:pgops-worker-orders-up-3f9c21aa";
    assert_eq!(applied(&cluster, change(&annotated, worker)).await.unwrap().0, "17.11");
    // One that this replica does not know yet is refused, and tries again.
    cluster.requests.clear();
    assert!(applied(&cluster, change(&annotated, worker)).await.is_err());
    let overridden = {
        let mut overridden = annotated;
        overridden["metadata"]["annotations"]["pgops.dev/override-guards"] = json!("true");
        overridden
    };
    assert_eq!(applied(&cluster, change(&overridden, "ada")).await.unwrap().0, "17.11");
}

#[tokio::test]
async fn other_changes_of_the_commit_are_kept() {
    let mut cluster = Cluster::new();
    cluster.requests = vec![request_in("Progressing")];
    let old = orders(None);
    let new = with(with(old.clone(), "/spec/version", json!("17.11")), "/spec/deletionPolicy", json!("Halt"));
    let (object, _) = cluster.stored(review("UPDATE", Some(&new), Some(&old))).await;
    assert_eq!(
        (&object["spec"]["version"], &object["spec"]["deletionPolicy"]),
        (&json!("13.16"), &json!("Halt"))
    );
    let leaving = with(new, "/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z"));
    let (object, _) = cluster.stored(review("UPDATE", Some(&leaving), Some(&old))).await;
    assert_eq!(object["spec"]["version"], "17.11", "no webhook changes what is being deleted");
}
