//! What a user who applies a `PostgresVersion` is told.

use super::*;
use insta::assert_snapshot;

#[tokio::test]
async fn admits_every_entry_and_says_what_is_wrong_with_it() {
    let warnings = async |object: Value| Cluster::new().warnings(create(&object)).await.join("\n");
    assert_snapshot!(warnings(version("13.16", "< 18")).await, @"");
    assert_snapshot!(warnings(with(version("x", ""), "/spec/version", json!("thirteen"))).await, @r#"this PostgresVersion is ignored until it is mended: spec.version: "thirteen" is no version: expected numbers such as "16.10""#);
    assert_snapshot!(warnings(version("13.16", "up to 18")).await, @r#"databases of this PostgresVersion cannot be upgraded until it is mended: spec.updateConstraints.allowlist: "up to 18" is no version constraint, see "up to 18": expected comparisons such as ">= 13.4, < 18""#);
    assert_snapshot!(warnings(version("9.6.24", "< 18")).await, @r#"nothing is upgraded from or to this PostgresVersion: spec.version: "9.6.24" is no PostgreSQL version: expected MAJOR.MINOR, such as "16.10""#);
    assert_snapshot!(warnings(without(version("13.16", "< 18"), "/spec/db")).await, @"failed to read the PostgresVersion: spec: missing field `db`");
}

#[tokio::test]
async fn cuts_a_warning_to_what_the_api_server_passes_on() {
    let long = version("13.16", &"up to eighteen, ".repeat(40));
    let warnings = Cluster::new().warnings(create(&long)).await;
    assert_eq!(warnings[0].chars().count(), 256);
}

#[tokio::test]
async fn speaks_up_when_a_spec_changes_and_not_when_metadata_does() {
    let (good, bad) = (version("13.16", "< 18"), version("13.16", "up to 18"));
    assert_eq!(Cluster::new().warnings(review("UPDATE", Some(&bad), Some(&good))).await.len(), 1);
    let labelled = with(bad.clone(), "/metadata/labels", json!({"a": "b"}));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&labelled), Some(&bad))).await.is_empty());
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&bad))).await.is_empty());
}
