//! The floor: the same upgrade of the same data by hand, in one container, with nothing around it.
//!
//! The data is a base backup of the database that is upgraded afterwards.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams, PostParams};
use pgops_api::plan::TransferMode;
use pgops_api::{layout, names};
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::Case;
use pgops_e2e::dual_version_pod::{DualVersionPod, STRIP_OPTIONS};
use pgops_e2e::{Database, wait_for};

const NAME: &str = "floor";
/// A base backup and a copy of the largest data fit in.
const LONGEST: Duration = Duration::from_mins(10);

/// How long the parts of the upgrade took, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub struct Floor {
    /// From the order to stop to the end of the old server.
    pub stop: u32,
    /// `pg_upgrade` itself.
    pub pg_upgrade: u32,
    /// From the start of the new server to its first acknowledged write.
    pub start: u32,
}

impl Floor {
    /// From the order to stop to the first acknowledged write, in seconds.
    pub fn outage(self) -> f64 {
        [self.stop, self.pg_upgrade, self.start].map(seconds).iter().sum()
    }

    /// Its parts, in seconds.
    pub fn parts(self) -> [(&'static str, f64); 3] {
        [("stop", self.stop), ("pg_upgrade", self.pg_upgrade), ("start", self.start)]
            .map(|(name, milliseconds)| (name, seconds(milliseconds)))
    }

    fn read(log: &str) -> anyhow::Result<Self> {
        let last = log.lines().last().context("the floor has said nothing")?;
        serde_json::from_str(last).with_context(|| format!("the floor ended without its figures: {log}"))
    }
}

fn seconds(milliseconds: u32) -> f64 {
    f64::from(milliseconds) / 1000.0
}

/// Measures it on a copy of the database, on a volume of the same kind; both are gone afterwards.
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
    let pod = wait_for(&pods, NAME, "the floor's end", LONGEST, ended).await?;
    ensure!(
        phase(pod.as_ref()).as_deref() == Some("Succeeded"),
        "the floor failed: see the logs of pod {NAME}"
    );
    let parameters = LogParams { container: Some(NAME.to_owned()), ..LogParams::default() };
    let floor = Floor::read(&pods.logs(NAME, &parameters).await?)?;
    pods.delete(NAME, &DeleteParams::default()).await?;
    claims.delete(NAME, &DeleteParams::default()).await?;
    Ok(floor)
}

async fn pod(database: &Database, case: &Case) -> anyhow::Result<Pod> {
    let versions = DualVersionPod::new(database, &case.from, &case.to).await?;
    let (old, new) = (versions.old_bindirs()?, versions.new_bindirs()?);
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
        // The only mode without an option in every version.
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

/// Each table has an index, and a TOAST table with one: four locks, and the server has room for 100 connections'.
fn locks(case: &Case) -> u32 {
    64 + case.tables.get().saturating_mul(4).div_ceil(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_the_last_line() {
        let floor =
            Floor::read("Upgrade Complete\n{\"stop\": 210, \"pg_upgrade\": 3400, \"start\": 90}\n").unwrap();
        assert_eq!(floor, Floor { stop: 210, pg_upgrade: 3400, start: 90 });
        assert!((floor.outage() - 3.7).abs() < 1e-9);
        assert!(Floor::read("pg_upgrade: error\n").is_err());
    }

    #[test]
    fn a_dump_of_all_tables_has_its_locks() {
        assert_eq!(locks(&"13.16:17.11/link/10000/0.1".parse().unwrap()), 464);
    }
}
