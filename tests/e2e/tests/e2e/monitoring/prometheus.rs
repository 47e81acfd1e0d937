//! A real Prometheus on loopback. It scrapes pods through the API server's proxy, since pods of another cluster cannot be
//! reached from here.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pgops_e2e::{eventually, kubectl};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// What the proxy admits: its port is open to every program on this machine.
const ADMITTED: &str = "^/api/v1/namespaces/[^/]+/pods/[^/]+:(8008|8080)/proxy/metrics$";

/// A pod to scrape, with the labels that the chart's monitors give its series.
pub struct Target {
    pub namespace: String,
    pub pod: String,
    pub port: u16,
    pub labels: Value,
}

/// A running Prometheus, which ends with this value.
pub struct Prometheus {
    url: String,
    _proxy: Child,
    _server: Child,
    _directory: TempDir,
}

impl Prometheus {
    /// Starts it with the alerts of the chart.
    pub async fn start(targets: &[Target]) -> anyhow::Result<Self> {
        let (proxy, proxy_address) = start_proxy().await?;
        let directory = tempfile::tempdir().context("failed to create Prometheus' directory")?;
        let path = directory.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&path, configuration(targets, &proxy_address).to_string())
            .with_context(|| format!("failed to write {}", path.display()))?;
        let (server, address) = start_server(directory.path()).await?;
        let url = format!("http://{address}");
        let prometheus = Self { url, _proxy: proxy, _server: server, _directory: directory };
        let answers = async || prometheus.get("/api/v1/status/runtimeinfo", &[]).await.map(drop);
        eventually("an answer of Prometheus", START_TIMEOUT, answers).await?;
        Ok(prometheus)
    }

    /// The `data` of an answer of its API.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let encoded: Vec<_> = parameters
            .iter()
            .map(|(name, value)| {
                let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
                format!("{}={}", encode(name), encode(value))
            })
            .collect();
        let uri = format!("{path}?{}", encoded.join("&"));
        let output = kubectl(&["--server", &self.url, "get", "--raw", &uri], None).await?;
        let answer: Value = serde_json::from_str(&output.succeeded()?.stdout)?;
        ensure!(answer["status"] == "success", "Prometheus answers {answer}");
        Ok(answer["data"].clone())
    }

    /// The series that an expression has now.
    pub async fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let data = self.get("/api/v1/query", &[("query", expression)]).await?;
        series(&data).with_context(|| format!("in the answer to {expression}"))
    }

    /// The series that an expression has had since that Unix time.
    pub async fn query_since(&self, expression: &str, start: i64) -> anyhow::Result<Vec<Value>> {
        let (start, end) = (start.to_string(), now_in_seconds().to_string());
        let parameters = [("query", expression), ("start", &start), ("end", &end), ("step", "1")];
        let data = self.get("/api/v1/query_range", &parameters).await?;
        series(&data).with_context(|| format!("in the answer to {expression}"))
    }
}

/// The present Unix time.
pub fn now_in_seconds() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}

fn series(data: &Value) -> anyhow::Result<Vec<Value>> {
    data["result"].as_array().cloned().with_context(|| format!("{data} has no result"))
}

fn configuration(targets: &[Target], proxy: &str) -> Value {
    let jobs: Vec<_> = targets
        .iter()
        .map(|Target { namespace, pod, port, labels }| {
            let mut labels = labels.clone();
            labels["namespace"] = json!(namespace);
            labels["pod"] = json!(pod);
            json!({
                "job_name": format!("{namespace}/{pod}"),
                "honor_labels": true,
                "metrics_path": format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"),
                "static_configs": [{"targets": [proxy], "labels": labels}],
            })
        })
        .collect();
    json!({
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"},
        "rule_files": [format!("{REPOSITORY}/charts/pgops/monitoring/alerts.yaml")],
        "scrape_configs": jobs,
    })
}

/// Starts `kubectl proxy`; returns its address.
async fn start_proxy() -> anyhow::Result<(Child, String)> {
    let mut proxy = Command::new("kubectl")
        .args(["proxy", "--port=0", "--accept-paths", ADMITTED])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to run kubectl proxy")?;
    let stdout = proxy.stdout.take().context("kubectl proxy has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = tokio::time::timeout(START_TIMEOUT, lines.next_line())
        .await
        .context("kubectl proxy prints nothing")??;
    let Some(first) = first else { bail!("kubectl proxy has ended") };
    let address = first.rsplit(' ').next().unwrap_or_default().to_owned();
    ensure!(address.starts_with("127.0.0.1:"), "kubectl proxy prints {first}");
    Ok((proxy, address))
}

/// Starts it on a port that nothing else has; returns its address.
async fn start_server(directory: &Path) -> anyhow::Result<(Child, String)> {
    let mut server = Command::new(format!("{REPOSITORY}/hack/tool"))
        .arg("prometheus")
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .arg("--log.level=info")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to run hack/tool prometheus")?;
    let log = server.stderr.take().context("Prometheus has no log")?;
    let (listening, address) = oneshot::channel();
    tokio::spawn(follow_log(log, listening));
    let address = tokio::time::timeout(START_TIMEOUT, address).await;
    let address = address.context("Prometheus does not listen: see its output")?;
    Ok((server, address.context("Prometheus has ended: see its output")?))
}

/// Reads the log to its end: only there does Prometheus say which port it has chosen. Problems are printed.
async fn follow_log(log: ChildStderr, listening: oneshot::Sender<String>) {
    let mut listening = Some(listening);
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = listening_address(&line) {
            // A test that has given up does not need it.
            let _ = listening.take().map(|listening| listening.send(address.to_owned()));
        } else if !line.contains("level=info") && !line.contains("level=INFO") {
            eprintln!("{line}");
        }
    }
}

/// `127.0.0.1:38437` of `… msg="Listening on" address=127.0.0.1:38437`.
fn listening_address(line: &str) -> Option<&str> {
    let (_, fields) = line.split_once("msg=\"Listening on\"")?;
    let (_, address) = fields.split_once("address=")?;
    address.split_whitespace().next()
}
