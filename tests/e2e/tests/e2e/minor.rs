//! Minor upgrades.

use pgops_e2e::{DataSet, assert_upgraded, with_namespace};

#[tokio::test]
async fn minor_13_16_to_13_23_keeps_data_and_settings() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        ns.secret("orders-conf", "user.conf", "work_mem = '12MB'\n").await?;
        let orders = ns.postgres("orders").version("13.16").initdb("--locale=en_US.UTF-8 --encoding=UTF8");
        let orders = orders.field("configSecret", serde_json::json!({"name": "orders-conf"}));
        let orders = orders.filled_with(&[DataSet::Everything]).await?;
        assert_eq!(orders.value("SHOW work_mem").await?, "12MB");
        let before = orders.fingerprint().await?;
        // Longer than a label may be.
        let name = format!("orders-13-23-{}", "x".repeat(70));
        let upgrade = ns.upgrade(&name).database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        assert_eq!(orders.value("SHOW work_mem").await?, "12MB");
        Ok(())
    })
    .await
}
