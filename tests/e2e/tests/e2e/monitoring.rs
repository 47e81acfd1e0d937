//! Metrics, alerts and dashboard with a real Prometheus, which scrapes the real pods.

mod panels;
mod prometheus;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use pgops_api::names;
use pgops_e2e::{Cluster, Namespace, eventually, kubectl, with_namespace};
use pgops_testing::metrics::documented;
use prometheus::{Prometheus, Target, now_in_seconds};
use serde_json::{Value, json};

const DOCUMENT: &str = include_str!("../../../../docs/reference/metrics.md");
const TIMEOUT: Duration = Duration::from_mins(1);

/// Metrics of what need not have happened, or exists.
const MAY_BE_MISSING: [&str; 5] = [
    "pgops_connections_closed_total",
    "pgops_request_waiting_start_timestamp_seconds",
    "pgops_instance_retired_data_size_bytes",
    "pgops_instance_retired_data_expiry_timestamp_seconds",
    "pgops_instance_wal_last_archived_timestamp_seconds",
];

#[tokio::test]
async fn prometheus_has_every_metric_and_evaluates_every_alert_and_panel() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        // Neither changes what is measured, nor is it shown.
        orders
            .sql("postgres", "ALTER ROLE ALL SET search_path = 'hidden_name'; CREATE ROLE hidden_name")
            .await?;
        let mut targets = components(ns.cluster()).await?;
        targets.push(instance(ns));
        let start = now_in_seconds();
        let prometheus = Prometheus::start(&targets).await?;
        ns.upgrade("orders-17").database("orders").to("17.11").create().await?.wait_successful().await?;

        eventually("all documented metrics", TIMEOUT, async || check_names(&prometheus).await).await?;
        eventually("the evaluation of all alerts", TIMEOUT, async || check_alerts(&prometheus).await).await?;
        eventually("data in all panels", TIMEOUT, async || panels::check(&prometheus, start).await).await?;
        panels::record(&prometheus, start).await?;
        // The new server is measured some seconds after its start.
        eventually("the values of the new server", TIMEOUT, async || check_database(ns, &prometheus).await)
            .await
    })
    .await
}

/// The pods of pgops, of which concurrent tests may replace some.
async fn components(cluster: &Cluster) -> anyhow::Result<Vec<Target>> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=pgops")).await?;
    let is_running =
        |pod: &Pod| pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"));
    let targets = pods.iter().filter(|pod| is_running(pod)).map(|pod| Target {
        namespace: cluster.system.clone(),
        pod: pod.name_any(),
        port: 8080,
        labels: json!({}),
    });
    Ok(targets.collect())
}

fn instance(ns: &Namespace) -> Target {
    Target {
        namespace: ns.name().to_owned(),
        pod: names::pod("orders", 0),
        port: names::INSTANCE_PORT,
        labels: json!({"database": "orders"}),
    }
}

/// Prometheus has the documented metrics and no others.
async fn check_names(prometheus: &Prometheus) -> anyhow::Result<()> {
    let headings = ["Webhook and launcher", "Provisioner", "Instances"];
    let documented: BTreeSet<String> = headings.iter().flat_map(|it| documented(DOCUMENT, it)).collect();
    let sought = [("match[]", "{__name__=~\"pgops_.*\"}")];
    let found = prometheus.get("/api/v1/label/__name__/values", &sought).await?;
    let of_histogram = |name: &str| {
        ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .filter(|name| documented.contains(*name))
            .map(ToOwned::to_owned)
    };
    let found: BTreeSet<String> = found
        .as_array()
        .context("there are no names")?
        .iter()
        .filter_map(Value::as_str)
        .map(|name| of_histogram(name).unwrap_or_else(|| name.to_owned()))
        .collect();
    let unknown: Vec<_> = found.difference(&documented).collect();
    ensure!(unknown.is_empty(), "docs/reference/metrics.md lacks {unknown:?}");
    let missing: Vec<_> =
        documented.difference(&found).filter(|name| !MAY_BE_MISSING.contains(&name.as_str())).collect();
    ensure!(missing.is_empty(), "no pod has {missing:?}, which docs/reference/metrics.md lists");
    Ok(())
}

/// Each rule was evaluated without an error.
async fn check_alerts(prometheus: &Prometheus) -> anyhow::Result<()> {
    let data = prometheus.get("/api/v1/rules", &[]).await?;
    let rules = data["groups"][0]["rules"].as_array().context("there are no alerts")?;
    ensure!(rules.len() >= 14, "there are only {} alerts", rules.len());
    for rule in rules {
        ensure!(rule["health"] == "ok", "{} is not evaluated: {rule}", rule["name"]);
    }
    Ok(())
}

/// The values of the test's own database are plausible, and name nothing in it.
async fn check_database(ns: &Namespace, prometheus: &Prometheus) -> anyhow::Result<()> {
    let of_database = format!("{{namespace=\"{}\",database=\"orders\"}}", ns.name());
    for condition in [
        format!("pgops_instance_up{of_database} == 1"),
        format!("pgops_instance_in_recovery{of_database} == 0"),
        format!("pgops_instance_server_info{of_database} == 1"),
        format!("pgops_instance_databases_size_bytes{of_database} > 10e6"),
        format!("pgops_instance_wal_position_bytes{of_database} > 10e6"),
        format!("pgops_instance_volume_free_bytes{of_database} > 0"),
        format!("pgops_instance_wraparound_ids_left{of_database} > 1e9"),
    ] {
        ensure!(!prometheus.query(&condition).await?.is_empty(), "{condition} does not hold");
    }
    let path = format!(
        "/api/v1/namespaces/{}/pods/{}:{}/proxy/metrics",
        ns.name(),
        names::pod("orders", 0),
        names::INSTANCE_PORT
    );
    let text = kubectl(&["get", "--raw", &path], None).await?.succeeded()?.stdout;
    ensure!(text.contains("server_version=\"17.11\""), "the version is not that of the server: {text}");
    ensure!(
        !text.contains("hidden_name") && !text.contains("postgres"),
        "a name of the server is shown: {text}"
    );
    Ok(())
}
