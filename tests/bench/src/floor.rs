//! The floor: the same upgrade of the same data by a script in one container, without pgops.
//!
//! The data is a base backup of the database that pgops upgrades afterwards.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams, PostParams};
use pgops_api::plan::TransferMode;
use pgops_api::{layout, names};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::Case;
use pgops_e2e::dual_version_pod::{DualVersionPod, STRIP_OPTIONS};
use pgops_e2e::{Database, wait_for};

const NAME: &str = "floor";
/// Enough for a base backup and a copy of the largest data.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Durations of the parts of the upgrade, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Floor {
    /// From the stop command to the end of the old server.
    pub stop: u32,
    /// `pg_upgrade` itself.
    pub pg_upgrade: u32,
    /// From the start of the new server to its first acknowledged write.
    pub start: u32,
}

impl Floor {
    /// From the stop command to the first acknowledged write, in seconds.
    pub fn outage(self) -> f64 {
        [self.stop, self.pg_upgrade, self.start].map(seconds).iter().sum()
    }

    /// The parts, in seconds.
    pub fn parts(self) -> [(&'static str, f64); 3] {
        [("stop", self.stop), ("pg_upgrade", self.pg_upgrade), ("start", self.start)]
            .map(|(name, milliseconds)| (name, seconds(milliseconds)))
    }

    fn parse(log: &str) -> anyhow::Result<Self> {
        let last = log.lines().last().context("the floor has no output")?;
        serde_json::from_str(last).with_context(|| format!("the floor ended without its times: {log}"))
    }
}

fn seconds(milliseconds: u32) -> f64 {
    f64::from(milliseconds) / 1000.0
}

/// Measures the floor on a copy of the database, on a volume of the same kind; deletes both afterwards.
pub async fn measure(database: &Database, case: &Case, storage: &Value) -> anyhow::Result<Floor> {
    let ns = database.namespace();
    let claims: Api<PersistentVolumeClaim> = ns.api();
    let pods: Api<Pod> = ns.api();
    let claim = serde_json::from_value(json!({"metadata": {"name": NAME}, "spec": storage}))?;
    claims.create(&PostParams::default(), &claim).await.context("failed to create the floor's claim")?;
    let pod = pod(database, case).await?;
    pods.create(&PostParams::default(), &pod).await.context("failed to create the floor's pod")?;

    let phase = |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.clone());
    let ended = |pod: Option<&Pod>| matches!(phase(pod).as_deref(), Some("Succeeded" | "Failed"));
    let pod = wait_for(&pods, NAME, "the end of the floor", TIMEOUT, ended).await?;
    ensure!(
        phase(pod.as_ref()).as_deref() == Some("Succeeded"),
        "the floor failed: see the logs of pod {NAME}"
    );
    let parameters = LogParams { container: Some(NAME.to_owned()), ..LogParams::default() };
    let floor = Floor::parse(&pods.logs(NAME, &parameters).await?)?;
    pods.delete(NAME, &DeleteParams::default()).await?;
    claims.delete(NAME, &DeleteParams::default()).await?;
    Ok(floor)
}

async fn pod(database: &Database, case: &Case) -> anyhow::Result<Pod> {
    let versions = DualVersionPod::new(database, &case.from, &case.to).await?;
    let old = versions.old_bindirs()?;
    let new = versions.new_bindirs()?;
    let password = json!({"secretKeyRef": {"name": names::auth_secret(database.name()), "key": "password"}});
    let copy = versions.old_container(
        "copy",
        json!({
            "command": ["/bin/sh", "-c", format!(
                "PATH={}:$PATH exec pg_basebackup --pgdata={}/old --checkpoint=fast --no-sync --no-password",
                old.join(":"), layout::VOLUME_ROOT,
            )],
            "env": [
                {"name": "PGHOST", "value": database.name()},
                {"name": "PGUSER", "value": "postgres"},
                {"name": "PGPASSWORD", "valueFrom": password},
            ],
        }),
    );
    let mode = match case.mode {
        // The only mode that has no option in some versions.
        TransferMode::Copy => String::new(),
        mode => format!("--{}", mode.name()),
    };
    let script = format!("{STRIP_OPTIONS}\n{}", include_str!("floor.sh"));
    let env = [
        ("OLD_ROOT", layout::OLD_DIR.to_owned()),
        ("OLD_BINDIRS", old.join(" ")),
        ("NEW_BINDIRS", new.join(" ")),
        ("VOLUME", layout::VOLUME_ROOT.to_owned()),
        ("MODE", mode),
        ("LOCKS", locks(case).to_string()),
    ];
    let env = env.map(|(name, value)| json!({"name": name, "value": value}));
    let upgrade = json!({"command": ["/bin/bash", "-c", script], "env": env});
    let data = json!({"name": "data", "persistentVolumeClaim": {"claimName": NAME}});
    versions.build(NAME, vec![copy], upgrade, &[(data, layout::VOLUME_ROOT)])
}

/// `max_locks_per_transaction`: a table, its index, and its TOAST table with an index need four locks, and the server
/// has slots for 100 connections.
fn locks(case: &Case) -> u32 {
    64 + case.tables.get().saturating_mul(4).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_times_are_the_last_line() {
        let floor =
            Floor::parse("Upgrade Complete\n{\"stop\": 210, \"pg_upgrade\": 3400, \"start\": 90}\n").unwrap();
        assert_eq!(floor, Floor { stop: 210, pg_upgrade: 3400, start: 90 });
        assert!((floor.outage() - 3.7).abs() < 1e-9);
        assert!(Floor::parse("pg_upgrade: error\n").is_err());
    }

    #[test]
    fn locks_suffice_for_a_dump_of_all_tables() {
        assert_eq!(locks(&"13.16:17.11/link/10000/0.1".parse().unwrap()), 464);
    }
}
