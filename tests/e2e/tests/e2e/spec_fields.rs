//! Fields of KubeDB's API that pgops does not act on: a user never gets the opposite of what was asked.

use anyhow::{Context, ensure};
use kube::api::{Patch, PatchParams};
use pgops_api::Postgres;
use pgops_e2e::with_namespace;
use serde_json::{Value, json};

#[tokio::test]
async fn field_whose_promise_would_be_broken_is_denied_by_name() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        for (field, value, part) in [
            (
                "tls",
                json!({"certificates": [{"alias": "client", "secretName": "a"}]}),
                "the server has no certificate",
            ),
            ("sslMode", json!("require"), "spec.sslMode"),
            ("clientAuthMode", json!("cert"), "spec.clientAuthMode"),
            ("init", json!({"script": {"configMap": {"name": "seed"}}}), "spec.init.script"),
            ("init", json!({"waitForInitialRestore": true}), "spec.init.waitForInitialRestore"),
            ("remoteReplica", json!({"sourceRef": {"name": "a", "namespace": "b"}}), "spec.remoteReplica"),
            ("archiver", json!({"ref": {"name": "a", "namespace": "b"}}), "spec.archiver"),
            ("deletionPolicyy", json!("DoNotTerminate"), "did you mean deletionPolicy?"),
        ] {
            let orders = ns.postgres("orders").version("17.11").field(field, value);
            let message = ns.rejects(orders.manifest()).await?;
            ensure!(message.contains(part), "the denial of {field} should contain {part:?}: {message}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn field_without_effect_is_warned_about_once_and_kept() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns
            .postgres("orders")
            .version("17.11")
            .field("monitor", json!({"agent": "prometheus.io"}))
            .field("serviceTemplates", json!([{"alias": "primary", "spec": {"type": "LoadBalancer"}}]))
            .field("configuration", json!({"tuning": {"profile": "web"}}))
            .field("quux", json!({"any": "thing"}));
        let created = ns.accepts(orders.manifest()).await?;
        for name in ["spec.monitor", "spec.serviceTemplates", "spec.configuration.tuning", "spec.quux"] {
            let warning = format!("Warning: {name} has no effect");
            ensure!(created.stderr.contains(&warning), "no warning about {name}: {}", created.stderr);
        }
        let databases = ns.api::<Postgres>();
        let stored =
            ns.kubectl(&["get", "postgreses.kubedb.com", "orders", "-o", "json"], None).await?.succeeded()?;
        let stored: Value = serde_json::from_str(&stored.stdout)?;
        ensure!(stored.pointer("/spec/quux/any") == Some(&json!("thing")), "the field was dropped: {stored}");

        let changed = ns.accepts(&orders.clone().field("halted", json!(true)).manifest().clone()).await?;
        ensure!(!changed.stderr.contains("spec.monitor"), "told again: {}", changed.stderr);
        let change = Patch::Merge(json!({"spec": {"sslMode": "verify-ca"}}));
        let denial = databases.patch("orders", &PatchParams::default(), &change).await.err();
        let denial = denial.context("an unkept promise was added")?.to_string();
        ensure!(denial.contains("spec.sslMode"), "the denial does not name the field: {denial}");
        Ok(())
    })
    .await
}
