//! A client that reads from standbys: a pod that connects for each read.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams, PostParams};
use pgops_api::names;
use pgops_e2e::{Namespace, eventually};
use serde_json::json;

const POD: &str = "reader";
const TIMEOUT: Duration = Duration::from_mins(2);
/// Prints each failure with its message, and the number of reads that have succeeded now and then.
const SCRIPT: &str = r#"
succeeded=0
while :; do
    if message=$(psql -h "$SERVICE" -U postgres -d postgres -Atc 'SELECT count(*) FROM pg_class' 2>&1); then
        succeeded=$((succeeded + 1))
        [ $((succeeded % 10)) -ne 0 ] || echo "succeeded $succeeded"
    else
        echo "failed after $succeeded: $(echo "$message" | tr '\n' ' ')"
    fi
    sleep 0.02
done
"#;

/// What was read.
pub struct Reads {
    pub succeeded: u64,
    /// A message for each that has failed.
    pub failed: Vec<String>,
}

/// The pod.
pub struct Reader {
    ns: Namespace,
    /// How many reads had failed before the first one succeeded: the Service may have had no standby yet.
    failed_before: usize,
}

impl Reader {
    /// Starts the pod with the client of that version; returns once it has read.
    pub async fn start(ns: &Namespace, version: &str) -> anyhow::Result<Self> {
        let entry = ns.cluster().catalog_entry(version).await?.spec;
        let password = json!({"secretKeyRef": {"name": names::auth_secret("orders"), "key": "password"}});
        let pod = serde_json::from_value(json!({
            "metadata": {"name": POD},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": entry.run_as_user(), "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": POD,
                    "image": entry.db.image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/sh", "-c", SCRIPT],
                    "env": [
                        {"name": "SERVICE", "value": names::standby_service("orders")},
                        {"name": "PGPASSWORD", "valueFrom": password},
                        {"name": "PGCONNECT_TIMEOUT", "value": "2"},
                    ],
                    "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                }],
            },
        }))?;
        ns.api::<Pod>().create(&PostParams::default(), &pod).await.context("failed to create the reader")?;
        let has_read = async || {
            let Reads { succeeded, failed } = reads(ns).await?;
            ensure!(succeeded > 0, "nothing was read yet: {:?}", failed.last());
            anyhow::Ok(failed.len())
        };
        let failed_before = eventually("the first read", TIMEOUT, has_read).await?;
        Ok(Self { ns: ns.clone(), failed_before })
    }

    /// Ends the pod.
    pub async fn stop(self) -> anyhow::Result<Reads> {
        let mut reads = reads(&self.ns).await?;
        reads.failed.drain(..self.failed_before);
        self.ns.api::<Pod>().delete(POD, &DeleteParams::default()).await?;
        Ok(reads)
    }
}

async fn reads(ns: &Namespace) -> anyhow::Result<Reads> {
    let log = ns.api::<Pod>().logs(POD, &LogParams::default()).await?;
    let succeeded = log.lines().rev().find_map(|line| line.strip_prefix("succeeded ")?.parse().ok());
    let failed = log.lines().filter(|line| line.starts_with("failed ")).map(ToOwned::to_owned);
    Ok(Reads { succeeded: succeeded.unwrap_or_default(), failed: failed.collect() })
}
