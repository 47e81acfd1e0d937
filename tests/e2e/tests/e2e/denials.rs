//! Denials at apply time, and the messages that users read.

use anyhow::ensure;
use pgops_api::names;
use pgops_e2e::{Namespace, with_namespace};
use serde_json::{Value, json};

/// All of these share one namespace and two databases: none of them changes anything. Which targets the messages list depends on
/// the whole catalog: `documentation.rs` compares them.
#[tokio::test]
async fn denials_say_what_why_and_what_instead() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").create().await?;
        let newer = ns.postgres("newer").version("17.11").create().await?;
        orders.wait_ready().await?;
        newer.wait_ready().await?;
        denied_by_compatibility_matrix(ns).await?;
        denied_by_schema(ns).await?;
        spec_is_immutable(ns).await?;
        while_another_runs(ns).await
    })
    .await
}

async fn denied_by_compatibility_matrix(ns: &Namespace) -> anyhow::Result<()> {
    let orders = |target: &str| ns.upgrade("denied").database("orders").to(target);
    let unsupported = |from: &str, to: &str| format!("upgrade from version {from} to {to} is not supported");

    let downgrade = ns.upgrade("denied").database("newer").to("15.20");
    let message = downgrade.rejected_with(&[&unsupported("17.11", "15.20"), "Allowed targets for"]).await?;
    ensure!(message.starts_with("Error from server (Forbidden)"), "the denial is not a 403: {message}");
    ensure!(message.contains("admission webhook"), "the denial does not come from the webhook: {message}");

    orders("99.1")
        .rejected_with(&[&unsupported("13.16", "99.1"), "no PostgresVersion \"99.1\"", "Allowed targets for"])
        .await?;
    orders("18.6")
        .rejected_with(&[&unsupported("13.16", "18.6"), "constraints", "Allowed targets for"])
        .await?;
    orders("17.11-alpine")
        .rejected_with(&[
            "upgrading between different base OS variants is not allowed: current version \"13.16\" uses baseOS \"debian\" but \
             target version \"17.11-alpine\" uses baseOS \"alpine\"",
            "Allowed targets",
        ])
        .await?;
    orders("17.11-percona")
        .rejected_with(&[
            "upgrading between different distributions is not allowed: current version \"13.16\" uses distribution",
            "but target version \"17.11-percona\" uses distribution \"Percona\"",
            "Allowed targets",
        ])
        .await?;
    orders("broken").rejected_with(&["broken"]).await?;

    let missing = ns.upgrade("denied").database("missing").to("17.11");
    let invalid = format!("spec.databaseRef {}/missing, is invalid or not found", ns.name());
    missing.rejected_with(&[&invalid]).await?;

    // A dry run is denied like a real request, and an admitted dry run stores nothing.
    let output = orders("17.11").dry_run().await?;
    ensure!(output.stderr.contains("Warning: "), "a major upgrade has no warnings: {output:?}");
    ensure!(orders("18.6").dry_run().await.is_err(), "a dry run admits what a real request would not");
    ensure!(ns.jobs_of("denied").await?.is_empty(), "a dry run created a Job");
    Ok(())
}

async fn denied_by_schema(ns: &Namespace) -> anyhow::Result<()> {
    let good = || ns.upgrade("denied").database("orders").to("17.11");
    good().field("timeout", json!("5 minutes")).rejected_with(&["spec.timeout", "duration", "5m"]).await?;
    good().field("timeout", json!("100000000h")).rejected_with(&["spec.timeout", "too long"]).await?;
    good()
        .field("apply", json!("Sometimes"))
        .rejected_with(&["spec.apply", "Sometimes", "IfReady", "Always"])
        .await?;
    good()
        .field("type", json!("Sideways"))
        .rejected_with(&["spec.type", "Sideways", "UpdateVersion"])
        .await?;
    good().field("maxRetries", json!(-1)).rejected_with(&["spec.maxRetries", "-1"]).await?;
    good()
        .annotation(names::ANNOTATION_TRANSFER_MODE, "teleport")
        .rejected_with(&[names::ANNOTATION_TRANSFER_MODE, "teleport", "copy", "clone", "link"])
        .await?;
    good()
        .field("updateVersion", Value::Null)
        .rejected_with(&["`spec.updateVersion` nil not supported in UpdateVersion type"])
        .await?;

    let two = ns.postgres("two").version("17.11").field("replicas", json!(2));
    let message = ns.rejects(two.manifest()).await?;
    ensure!(message.contains("replicas") && message.contains('2'), "two servers: {message}");
    let unknown = ns.postgres("unknown").version("99.1");
    let message = ns.rejects(unknown.manifest()).await?;
    ensure!(message.contains("99.1"), "an unknown version: {message}");
    Ok(())
}

async fn spec_is_immutable(ns: &Namespace) -> anyhow::Result<()> {
    // A request of a type that pgops ignores: a busy database would deny any other, and hide this check.
    let restart = ns
        .upgrade("other")
        .database("orders")
        .field("type", json!("HorizontalScaling"))
        .field("updateVersion", Value::Null);
    ns.accepts(restart.manifest()).await?;
    let changed = restart.field("databaseRef", json!({"name": "newer"}));
    let message = ns.rejects(changed.manifest()).await?;
    ensure!(message.contains("spec is immutable"), "a changed spec: {message}");
    ns.kubectl(&["delete", "pgops", "other"], None).await?.succeeded()?;

    // spec.version follows the data; a user who changes it directly is shown the request to apply.
    let around = ns.postgres("orders").version("17.11");
    let message = ns.rejects(around.manifest()).await?;
    for part in ["spec.version", "must stay 13.16", "kind: PostgresOpsRequest", "targetVersion: \"17.11\""] {
        ensure!(message.contains(part), "the denial of a changed version should contain {part:?}: {message}");
    }
    Ok(())
}

async fn while_another_runs(ns: &Namespace) -> anyhow::Result<()> {
    // A minor upgrade may end meanwhile.
    let first = ns.upgrade("first").database("orders").to("17.11").create().await?;
    first.wait_observed().await?;
    ns.upgrade("second").database("orders").to("13.23").rejected_with(&["first"]).await?;
    let message = ns.rejects(ns.postgres("orders").version("13.23").manifest()).await?;
    ensure!(
        message.contains("is set by PostgresOpsRequest first"),
        "a version changed during an upgrade: {message}"
    );
    let kept = ns.accepts(ns.postgres("orders").version("17.11").manifest()).await?;
    ensure!(kept.stderr.contains("PostgresOpsRequest first"), "the version of the request: {kept:?}");
    first.wait_successful().await?;
    Ok(())
}
