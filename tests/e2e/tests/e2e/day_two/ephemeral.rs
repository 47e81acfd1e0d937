//! A database whose data is deleted with its pod.

use anyhow::ensure;
use pgops_api::names;
use pgops_e2e::{UpgradeRequest, with_namespace};
use serde_json::json;

use super::{request, succeeds};

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn ephemeral_database_is_restarted_empty_only_by_override_and_neither_upgraded_nor_expanded()
-> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").field("storageType", json!("Ephemeral"));
        let orders = orders.ready().await?;
        orders.sql("postgres", "CREATE TABLE lost ()").await?;
        ns.upgrade("upgrade").database("orders").to("18.6").rejected_with(&["storageType Ephemeral"]).await?;
        let expansion = json!({"mode": "Online", "postgres": "5Gi"});
        let expansion = request(ns, "grow", "VolumeExpansion").field("volumeExpansion", expansion);
        expansion.rejected_with(&["no volume to expand"]).await?;

        let restart = request(ns, "restart", "Restart");
        restart.rejected_with(&["its data is deleted with its pod"]).await?;
        let restart = restart.annotation(names::ANNOTATION_OVERRIDE, "true");
        let created = ns.accepts(restart.manifest()).await?;
        ensure!(created.stderr.contains("is deleted with its pod"), "{}", created.stderr);
        succeeds(ns, UpgradeRequest::new(ns.clone(), "restart")).await?;
        orders.wait_ready().await?;
        let tables = orders.value("SELECT count(*) FROM pg_class WHERE relname = 'lost'").await?;
        ensure!(tables == "0", "the test is about another kind of storage");
        Ok(())
    })
    .await
}
