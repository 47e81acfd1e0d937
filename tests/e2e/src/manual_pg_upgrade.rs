//! A pod in which a script can run the real `pg_upgrade` on a copy of a database's data.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use pgops_api::{layout, names};
use serde_json::json;

use crate::database::Database;
use crate::dual_version_pod::DualVersionPod;
use crate::kubectl::Output;
use crate::namespace::Namespace;
use crate::wait::wait_for;

const POD: &str = "manual-pg-upgrade";
/// Read-only mount of the halted database's volume.
const SOURCE: &str = "/source";
/// The images may have to be unpacked, and the old programs are staged.
const TIMEOUT: Duration = Duration::from_mins(3);

/// The pod. Its copy of the data is mounted at the path of the database's volume, so that absolute paths stay valid.
pub struct ManualPgUpgrade {
    ns: Namespace,
}

impl ManualPgUpgrade {
    /// Starts the pod for a halted database; `from` and `to` are names of catalog entries.
    pub async fn start(database: &Database, from: &str, to: &str) -> anyhow::Result<Self> {
        let ns = database.namespace();
        let claim = names::claim(database.name(), 0);
        let volumes = [
            (json!({"name": "copy", "emptyDir": {}}), layout::VOLUME_ROOT),
            (
                json!({"name": "source", "persistentVolumeClaim": {"claimName": claim, "readOnly": true}}),
                SOURCE,
            ),
        ];
        // The shell reaps the orphans of servers.
        let command = ["/bin/bash", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"];
        let builder = DualVersionPod::new(database, from, to).await?;
        let pod = builder.build(POD, vec![], json!({"command": command}), &volumes)?;
        let pods: Api<Pod> = ns.api();
        pods.create(&PostParams::default(), &pod).await.context("failed to create the pod")?;
        let phase = |pod: Option<&Pod>| pod?.status.as_ref()?.phase.clone();
        let settled = |pod: Option<&Pod>| phase(pod).is_some_and(|phase| phase != "Pending");
        let found = wait_for(&pods, POD, "a phase other than Pending", TIMEOUT, settled).await?;
        let phase = phase(found.as_ref()).unwrap_or_default();
        ensure!(phase == "Running", "pod {POD} is {phase}");
        Ok(Self { ns: ns.clone() })
    }

    /// Runs a bash script in the pod.
    pub async fn bash(&self, script: &str) -> anyhow::Result<Output> {
        self.ns.kubectl(&["exec", "--stdin", POD, "--", "/bin/bash", "-s"], Some(script)).await
    }
}
