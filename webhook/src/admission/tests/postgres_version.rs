//! Reviews of `PostgresVersion`s.

use super::*;
use insta::assert_snapshot;

fn delete(name: &str) -> Value {
    review("DELETE", None, Some(&version(name, "< 18")))
}

#[tokio::test]
async fn unreadable_entry_is_denied_with_its_field() {
    let denial = async |object: Value| Cluster::new().denial(create(&object)).await;
    assert_snapshot!(denial(with(version("x", "< 18"), "/spec/version", json!("thirteen"))).await, @r#"
    422 Invalid Unreadable spec.version
    spec.version: "thirteen" is not a version: expected numbers such as "16.10"
    "#);
    let lists = json!({"allowlist": ["< 18", "up to 18"]});
    assert_snapshot!(denial(with(version("13.16", ""), "/spec/updateConstraints", lists)).await, @r#"
    422 Invalid Unreadable spec.updateConstraints.allowlist[1]
    spec.updateConstraints.allowlist[1]: "up to 18" is not a version constraint, see "up to 18": expected comparisons such as ">= 13.4, < 18"
    "#);
    let lists = json!({"denylist": ["16,"]});
    let text = denial(with(version("13.16", ""), "/spec/updateConstraints", lists)).await;
    assert!(text.starts_with("422 Invalid Unreadable spec.updateConstraints.denylist[0]"), "{text}");
    assert_snapshot!(denial(with(version("13.16", "< 18"), "/spec/db/image", json!(" "))).await, @"
    422 Invalid Unreadable spec.db.image
    spec.db.image: must not be empty: set it to the image of the server
    ");
    assert_snapshot!(denial(without(version("13.16", "< 18"), "/spec/db")).await, @"
    422 Invalid Unreadable spec
    failed to read the PostgresVersion: spec: missing field `db`
    ");
}

#[tokio::test]
async fn constraints_that_match_nothing_get_a_warning() {
    let warnings = async |object: Value| Cluster::new().warnings(create(&object)).await.join("\n");
    assert_snapshot!(warnings(version("13.16", "< 18")).await, @"");
    assert_snapshot!(warnings(version("18.6", ">= 18.6")).await, @"");
    assert_snapshot!(warnings(version("13.16", ">= 19")).await, @"spec.updateConstraints: no PostgresVersion in the catalog satisfies them, so databases of this version cannot be upgraded");
    let lists = json!({"allowlist": [">18 <17", "17.x"], "denylist": ["14.1, 14.2"]});
    assert_snapshot!(warnings(with(version("13.16", ""), "/spec/updateConstraints", lists)).await, @r#"
    spec.updateConstraints.allowlist: ">18 <17" allows nothing: no version satisfies all of it; use || for "or"
    spec.updateConstraints.denylist: "14.1, 14.2" denies nothing: no version satisfies all of it; use || for "or"
    "#);
    let lists = json!({"denylist": [">= 10"]});
    let text = warnings(with(version("13.16", ""), "/spec/updateConstraints", lists)).await;
    assert!(text.contains("no PostgresVersion in the catalog satisfies them"), "{text}");
}

#[tokio::test]
async fn unsupported_version_gets_a_warning() {
    assert_snapshot!(Cluster::new().warnings(create(&version("9.6.24", "< 18"))).await.join("\n"), @r#"databases cannot be upgraded from or to this PostgresVersion: spec.version: "9.6.24" is older than PostgreSQL 10"#);
}

#[tokio::test]
async fn warning_is_cut_to_the_limit_of_the_api_server() {
    let long = version("13.16", &"> 18 < 17 ".repeat(40));
    let warnings = Cluster::new().warnings(create(&long)).await;
    assert_eq!(warnings[0].chars().count(), 256);
}

#[tokio::test]
async fn only_a_changed_spec_is_checked() {
    let good = version("13.16", "< 18");
    let bad = version("13.16", "up to 18");
    assert!(Cluster::new().denial(review("UPDATE", Some(&bad), Some(&good))).await.starts_with("422"));
    // It was stored while no replica answered.
    let labelled = with(bad.clone(), "/metadata/labels", json!({"a": "b"}));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&labelled), Some(&bad))).await.is_empty());
    assert!(Cluster::new().warnings(review("UPDATE", Some(&good), Some(&bad))).await.is_empty());
}

#[tokio::test]
async fn deletion_of_a_used_entry_is_denied_with_its_users() {
    let mut cluster = Cluster::new();
    assert_snapshot!(cluster.denial(delete("13.16")).await, @"
    403 Forbidden InUse metadata.name
    PostgresVersion 13.16 is used by Postgres demo/orders, so its image and its constraints are needed: upgrade or delete what uses it first. To discourage new uses, set spec.deprecated: true
    ");
    assert!(cluster.warnings(delete("17.11")).await.is_empty());

    let mut request = opsrequest("17.11");
    request["status"] = json!({"phase": "Progressing", "from": "15.20"});
    cluster.requests = vec![request.clone()];
    for name in ["15.20", "17.11"] {
        assert!(cluster.denial(delete(name)).await.contains("used by PostgresOpsRequest demo/orders-up, "));
    }
    assert!(cluster.warnings(delete("18.6")).await.is_empty());
    request["status"]["phase"] = json!("Failed");
    cluster.requests = vec![request];
    assert!(cluster.warnings(delete("17.11")).await.is_empty());
    // It ended halfway and may be resumed.
    let mut paused = database("orders");
    paused["status"]["conditions"] = json!([{
        "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-01T00:00:00Z",
        "message": "paused by PostgresOpsRequest orders-up (uid uid-of-orders-up) for the upgrade 15.20 to 17.11",
    }]);
    cluster.databases = vec![paused];
    assert!(cluster.denial(delete("17.11")).await.contains("used by PostgresOpsRequest demo/orders-up, "));

    cluster.databases = ["a", "b", "c", "d", "e"].map(database).into();
    let text = cluster.denial(delete("13.16")).await;
    assert!(text.contains("Postgres demo/a, Postgres demo/b, Postgres demo/c and 2 more"), "{text}");
}
