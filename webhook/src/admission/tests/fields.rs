//! Reviews of what a `Postgres` requests: what cannot be built, and what would not happen.

use super::*;
use insta::assert_snapshot;

async fn denial_of(path: &str, value: Value) -> String {
    Cluster::new().denial(create(&with(database("new"), path, value))).await
}

#[tokio::test]
async fn spec_that_cannot_be_built_is_denied_with_all_its_problems() {
    assert_snapshot!(denial_of("/metadata/name", json!("orders.v2")).await, @r#"
    422 Invalid InvalidName metadata.name
    metadata.name: "orders.v2" cannot name a StatefulSet and its Services: use at most 52 characters of a-z, 0-9 and '-', starting with a letter
    "#);
    let claim = json!({"accessModes": ["ReadWriteTwice"], "resources": {"requests": {"storage": "1GiB"}}});
    assert_snapshot!(denial_of("/spec/storage", claim).await, @r#"
    422 Invalid InvalidStorage spec.storage.resources.requests.storage
    spec.storage.resources.requests.storage: "1GiB" is not a quantity: write "1Gi"
    spec.storage.accessModes[0]: "ReadWriteTwice" is not an access mode: set "ReadWriteOnce"
    "#);
    let greedy = json!([{"name": "postgres", "resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}]);
    assert_snapshot!(denial_of("/spec/podTemplate", json!({"spec": {"containers": greedy}})).await, @r#"
    422 Invalid InvalidResources spec.podTemplate.spec.containers[0].resources.requests.cpu
    spec.podTemplate.spec.containers[0].resources.requests.cpu: "2" is more than the limit "1": lower the request or raise the limit
    "#);
}

#[tokio::test]
async fn version_that_no_server_runs_is_denied() {
    let mut cluster = Cluster::new();
    cluster.versions[0]["spec"]["version"] = json!("9.6.24");
    assert_snapshot!(cluster.denial(create(&database("new"))).await, @r#"
    403 Forbidden UnsupportedVersion spec.version
    spec.version: PostgresVersion 13.16 cannot be used: its spec.version "9.6.24" is older than PostgreSQL 10; choose a release of PostgreSQL 10 or newer
    "#);
    cluster.versions[0]["spec"]["version"] = json!("13.16");
    cluster.versions[0]["spec"]["securityContext"] = json!({"runAsUser": 0});
    assert_snapshot!(cluster.denial(create(&database("new"))).await, @"
    403 Forbidden RunsAsRoot spec.version
    spec.version: PostgresVersion 13.16 cannot be used: its spec.securityContext.runAsUser is 0, and PostgreSQL refuses to run as root: set it to the image's own user, such as 999 (Debian) or 70 (Alpine)
    ");
}

#[tokio::test]
async fn field_whose_promise_would_be_broken_is_denied() {
    assert_snapshot!(denial_of("/spec/archiver", json!({"ref": {"name": "a"}})).await, @"
    403 Forbidden UnsupportedField spec.archiver
    spec.archiver: it is not supported: no WAL would be archived and no backup taken: omit it, and back up by other means
    ");
    assert_snapshot!(denial_of("/spec/sslMode", json!("require")).await, @r#"
    422 Invalid InvalidTls spec.sslMode
    spec.sslMode: "require" requires a certificate of the server: set spec.tls.issuerRef, or a Secret with a certificate in spec.tls.certificates (docs/how-to/tls.md)
    "#);
    assert_snapshot!(denial_of("/spec/deletionPolicyy", json!("DoNotTerminate")).await, @"
    422 Invalid UnknownField spec.deletionPolicyy
    spec.deletionPolicyy: this field is unknown and would have no effect: did you mean deletionPolicy?
    ");
}

#[tokio::test]
async fn field_without_effect_is_warned_about() {
    let monitored = with(database("new"), "/spec/monitor", json!({"agent": "prometheus.io"}));
    assert_snapshot!(Cluster::new().warnings(create(&monitored)).await.join("\n"), @"spec.monitor has no effect: pgops runs no exporter and creates no ServiceMonitor");
}

#[tokio::test]
async fn database_with_problems_accepts_what_adds_none() {
    let bad = with(
        with(database("orders"), "/spec/storage/accessModes", json!(["Twice"])),
        "/spec/archiver",
        json!({"a": 1}),
    );
    let update = |new: &Value| review("UPDATE", Some(new), Some(&bad));
    let repaired = with(
        with(bad.clone(), "/spec/storage/accessModes", json!(["ReadWriteOnce"])),
        "/spec/archiver",
        json!(null),
    );
    for new in [
        with(bad.clone(), "/metadata/labels", json!({"a": "b"})),
        with(bad.clone(), "/metadata/finalizers", json!([])),
        with(bad.clone(), "/spec/halted", json!(true)),
        repaired,
    ] {
        assert!(Cluster::new().warnings(update(&new)).await.is_empty(), "{new}");
    }
    let worse = with(bad.clone(), "/spec/sslMode", json!("require"));
    assert!(Cluster::new().denial(update(&worse)).await.contains("spec.sslMode"));
    let leaving = with(worse, "/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z"));
    assert!(Cluster::new().warnings(update(&leaving)).await.is_empty());
}

#[tokio::test]
async fn storage_cannot_shrink_or_be_removed() {
    let old = database("orders");
    let smaller = with(old.clone(), "/spec/storage/resources/requests/storage", json!("512Mi"));
    assert_snapshot!(Cluster::new().denial(review("UPDATE", Some(&smaller), Some(&old))).await, @r#"
    422 Invalid StorageShrunk spec.storage.resources.requests.storage
    spec.storage.resources.requests.storage: 512Mi is less than 1Gi, and a volume cannot shrink: keep 1Gi, or create a smaller database and copy the data. A size that the volume never reached may be taken away with the annotation pgops.dev/override-guards: "true"
    "#);
    let removed = without(old.clone(), "/spec/storage");
    assert!(
        Cluster::new().denial(review("UPDATE", Some(&removed), Some(&old))).await.contains("StorageMissing")
    );
}
