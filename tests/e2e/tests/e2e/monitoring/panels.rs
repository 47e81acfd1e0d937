//! The panels of the Grafana dashboard.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::prometheus::{Prometheus, now_in_seconds};

const DASHBOARD: &str = include_str!("../../../../../charts/pgops/dashboards/pgops.json");
/// Panels that show what need not have happened.
const MAY_BE_EMPTY: [&str; 3] = ["Denials", "Closed connections", "Waiting requests"];
/// Path of a file for the data of all panels, of which `hack/dashboard-picture` draws them.
const RECORD: &str = "PGOPS_DASHBOARD_DATA";

/// Each expression of each panel is valid, and has had data, unless the panel may be empty.
pub async fn check(prometheus: &Prometheus, start: i64) -> anyhow::Result<()> {
    for panel in panels()? {
        let title = panel["title"].as_str().context("a panel has no title")?;
        let is_empty = lines(prometheus, &panel, start).await?.is_empty();
        ensure!(!is_empty || MAY_BE_EMPTY.contains(&title), "panel {title} has no data");
    }
    Ok(())
}

/// Writes the data of all panels, if that is requested.
pub async fn record(prometheus: &Prometheus, start: i64) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os(RECORD) else { return Ok(()) };
    let mut recorded = panels()?;
    for panel in &mut recorded {
        panel["lines"] = json!(lines(prometheus, panel, start).await?);
    }
    let record = json!({ "start": start, "end": now_in_seconds(), "panels": recorded });
    std::fs::write(&path, record.to_string()).with_context(|| format!("failed to write {}", path.display()))
}

fn panels() -> anyhow::Result<Vec<Value>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    dashboard["panels"].as_array().cloned().context("the dashboard has no panels")
}

/// What a panel shows: names as its legend has them, and the values since that time.
async fn lines(prometheus: &Prometheus, panel: &Value, start: i64) -> anyhow::Result<Vec<Value>> {
    let mut lines = Vec::new();
    for target in panel["targets"].as_array().context("a panel has no targets")? {
        let expression = target["expr"].as_str().context("a target has no expression")?;
        let legend = target["legendFormat"].as_str().context("a target has no legend")?;
        let found = prometheus.query_since(expression, start).await;
        for series in found.with_context(|| format!("in panel {}", panel["title"]))? {
            lines.push(json!({ "name": name(legend, &series["metric"]), "values": series["values"] }));
        }
    }
    Ok(lines)
}

fn name(legend: &str, labels: &Value) -> String {
    let Some(labels) = labels.as_object() else { return legend.to_owned() };
    labels.iter().fold(legend.to_owned(), |name, (label, value)| {
        name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
    })
}
