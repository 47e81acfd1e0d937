//! The probe as a pod of the cluster, next to a database.

use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{LogParams, PostParams};
use pgops_api::names;
use serde_json::json;

use crate::database::Database;
use crate::wait::wait_for;
use pgops_probe::{CONTROL, INTERVAL_VARIABLE, Line, PROBE_DATABASE, Summary, WRITES};

const POD: &str = "probe";
const TIMEOUT: Duration = Duration::from_mins(2);
/// Short compared with an outage of seconds, and no load.
const INTERVAL: Duration = Duration::from_millis(50);

/// A pod that continuously writes to a database through its Service.
pub struct Probe {
    database: Database,
}

impl Probe {
    /// Starts the pod; returns once a write was acknowledged.
    ///
    /// Take the fingerprint of the server afterwards: this creates the database that the probe writes to.
    pub async fn start(database: &Database) -> anyhow::Result<Self> {
        Self::start_every(database, INTERVAL).await
    }

    /// Starts the pod with this interval between writes.
    pub async fn start_every(database: &Database, interval: Duration) -> anyhow::Result<Self> {
        database.sql("postgres", &format!("CREATE DATABASE {PROBE_DATABASE}")).await?;
        let ns = database.namespace();
        let dsn = format!("host={} user=postgres dbname={PROBE_DATABASE}", database.name());
        let password =
            json!({"secretKeyRef": {"name": names::auth_secret(database.name()), "key": "password"}});
        let pod = serde_json::from_value(json!({
            "metadata": {"name": POD},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{
                    "name": POD,
                    "image": format!("{}/pgops-probe:latest", ns.cluster().registry),
                    "imagePullPolicy": "IfNotPresent",
                    "env": [
                        {"name": "PROBE_DSN", "value": dsn},
                        {"name": "PGPASSWORD", "valueFrom": password},
                        {"name": INTERVAL_VARIABLE, "value": interval.as_millis().to_string()},
                    ],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        }))?;
        let pods: Api<Pod> = ns.api();
        pods.create(&PostParams::default(), &pod).await.context("failed to create the probe's pod")?;
        let running = |pod: Option<&Pod>| phase(pod) == Some("Running");
        wait_for(&pods, POD, "phase Running", TIMEOUT, running).await?;
        let probe = Self { database: database.clone() };
        probe.wait_for_writes().await?;
        Ok(probe)
    }

    async fn wait_for_writes(&self) -> anyhow::Result<()> {
        let written =
            format!("SELECT count(*) FROM pg_class WHERE relname = '{WRITES}' AND pg_relation_size(oid) > 0");
        let waiting = async {
            loop {
                if self.database.sql(PROBE_DATABASE, &written).await?.concat() == ["1"] {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.context("the probe does not write")?
    }

    /// Stops the pod and returns its summary.
    ///
    /// Fails if an acknowledged write is missing in the table.
    pub async fn stop(self) -> anyhow::Result<Summary> {
        let pods: Api<Pod> = self.database.namespace().api();
        self.database.sql(PROBE_DATABASE, &format!("UPDATE {CONTROL} SET stop = true")).await?;
        let ended = |pod: Option<&Pod>| matches!(phase(pod), Some("Succeeded" | "Failed"));
        wait_for(&pods, POD, "the end", TIMEOUT, ended).await?;
        let log = pods.logs(POD, &LogParams::default()).await?;
        let last = log.lines().last().and_then(|line| serde_json::from_str(line).ok());
        let Some(Line::Summary(summary)) = last else {
            return Err(anyhow!("the probe ended without a summary: {log}"));
        };
        let mut kept = 0;
        for (first, last) in &summary.ranges {
            let count = format!("SELECT count(*) FROM {WRITES} WHERE n BETWEEN {first} AND {last}");
            kept += self.database.sql(PROBE_DATABASE, &count).await?.concat().concat().parse::<u64>()?;
        }
        let acknowledged = summary.acknowledged;
        ensure!(kept == acknowledged, "{acknowledged} writes were acknowledged, {kept} of them exist");
        Ok(summary)
    }
}

fn phase(pod: Option<&Pod>) -> Option<&str> {
    pod?.status.as_ref()?.phase.as_deref()
}
