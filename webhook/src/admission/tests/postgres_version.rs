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
    let root = with(version("13.16", "< 18"), "/spec/securityContext", json!({"runAsUser": 0}));
    assert_snapshot!(denial(root).await, @"
    422 Invalid Unreadable spec.securityContext.runAsUser
    spec.securityContext.runAsUser: 0 is not a user that PostgreSQL runs as: set it to the image's own user, such as 999 (Debian) or 70 (Alpine)
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

fn with_extensions(extensions: Value) -> Value {
    with(version("13.16", "< 18"), "/spec/extensions", extensions)
}

#[tokio::test]
async fn invalid_entry_about_an_extension_is_denied_with_its_field() {
    let denial = async |entry: Value| {
        let extensions = json!([{ "name": "postgis" }, entry]);
        Cluster::new().denial(create(&with_extensions(extensions))).await
    };
    assert_snapshot!(denial(json!({"name": "ledger", "updateFunction": "upgrade(); DROP TABLE t"})).await, @r#"
    422 Invalid Unreadable spec.extensions[1].updateFunction
    spec.extensions[1].updateFunction: "upgrade(); DROP TABLE t" is not a function's name: expected a name such as "upgrade" or "ledger.upgrade", in lower case, without quotes and arguments
    "#);
    assert_snapshot!(denial(json!({"name": "ledger", "notCarried": "old"})).await, @r#"
    422 Invalid Unreadable spec.extensions[1].notCarried
    spec.extensions[1].notCarried: "old" is not a version constraint, see "old": expected comparisons such as ">= 13.4, < 18"
    "#);
    let text = denial(json!({"name": "ledger", "preload": "Sometimes"})).await;
    assert!(text.starts_with("422") && text.contains("Sometimes") && text.contains("`Restore`"), "{text}");
}

#[tokio::test]
async fn entry_about_an_extension_without_effect_gets_a_warning() {
    let warnings = async |extensions: Value| {
        Cluster::new().warnings(create(&with_extensions(extensions))).await.join("\n")
    };
    assert_snapshot!(warnings(json!([{"name": "ledger", "preload": "Restore"}])).await, @"");
    assert_snapshot!(warnings(json!([{"name": "ledger"}, {"name": "geo", "notCarried": "> 3 < 2"}])).await, @r#"
    spec.extensions: the entry of "ledger" says nothing: set another field, or remove it
    spec.extensions: notCarried of "geo" excludes nothing: no version satisfies all of "> 3 < 2"; use || for "or"
    "#);
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

/// A change of the entry that demo/orders runs.
fn change(path: &str, value: Value) -> Value {
    let old = version("13.16", "< 18");
    review("UPDATE", Some(&with(old.clone(), path, value)), Some(&old))
}

#[tokio::test]
async fn change_of_what_databases_run_is_denied_with_its_users() {
    let cluster = Cluster::new();
    assert_snapshot!(cluster.denial(change("/spec/db/image", json!("registry.example/postgres:13.16-2"))).await, @"
    403 Forbidden InUse spec.db.image
    PostgresVersion 13.16 is used by Postgres demo/orders, so spec.db.image must not change: create another PostgresVersion, and upgrade to it with a PostgresOpsRequest. To change this one anyway: kubectl annotate postgresversion 13.16 pgops.dev/override-guards=true, then repeat the change; databases keep their image until an upgrade
    ");
    for (path, value) in [
        ("/spec/db/baseOS", json!("alpine")),
        ("/spec/version", json!("13.17")),
        ("/spec/securityContext", json!({ "runAsUser": 70 })),
    ] {
        assert!(cluster.denial(change(path, value)).await.starts_with("403 Forbidden InUse spec"), "{path}");
    }
}

#[tokio::test]
async fn other_fields_of_a_used_entry_may_change() {
    let cluster = Cluster::new();
    for (path, value) in [
        ("/spec/deprecated", json!(true)),
        ("/spec/endOfLife", json!(true)),
        ("/spec/updateConstraints", json!({ "allowlist": [">= 13.16"] })),
        // As before, spelled out.
        ("/spec/securityContext", json!({})),
    ] {
        assert!(cluster.warnings(change(path, value)).await.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn unused_entry_may_change() {
    let old = version("15.20", "< 19");
    let new = with(old.clone(), "/spec/db/image", json!("registry.example/postgres:15.20-2"));
    let update = || review("UPDATE", Some(&new), Some(&old));
    let mut cluster = Cluster::new();
    assert!(cluster.warnings(update()).await.is_empty());
    // The target of a request that has not ended.
    cluster.requests = vec![opsrequest("15.20")];
    assert!(cluster.denial(update()).await.contains("used by PostgresOpsRequest demo/orders-up, "));
}

#[tokio::test]
async fn override_admits_a_change_with_a_warning() {
    let mut overridden = change("/spec/db/image", json!("registry.example/postgres:13.16-2"));
    overridden["object"]["metadata"]["annotations"] = json!({ "pgops.dev/override-guards": "true" });
    assert_snapshot!(Cluster::new().warnings(overridden).await.join("\n"), @"spec.db.image changed while Postgres demo/orders used it (pgops.dev/override-guards): databases keep their image until an upgrade; remove the annotation afterwards");
}
