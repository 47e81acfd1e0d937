//! The plan of one upgrade: what the launcher hands to the runner, and the steps that it takes.

mod reindex;
mod transfer;

pub use reindex::Reindex;
pub use transfer::TransferMode;

use serde::{Deserialize, Serialize};

use crate::PgVersion;
use crate::version::ParseVersionError;

/// Environment variable of the Job in which the plan stands as JSON.
pub const PLAN_VARIABLE: &str = "PGOPS_PLAN";
/// Environment variable of the Job with the name of the node that its pod runs on.
pub const NODE_VARIABLE: &str = "PGOPS_NODE";
/// Exit status of a container of the worker when another try would change nothing: the runner's when the
/// request has ended, `stage`'s when the old image lacks what must be staged.
pub const EXIT_ENDED: u8 = 42;

/// Everything that is decided before the Job is made. It never changes afterwards, so that a
/// runner that is started again carries on with the same plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpgradePlan {
    /// Namespace of the request and of the database.
    pub namespace: String,
    /// Name of the `PostgresOpsRequest`.
    pub request: String,
    /// Uid of the `PostgresOpsRequest`: the owner of pause, journal and work directory.
    pub request_uid: String,
    /// Name of the `Postgres`.
    pub database: String,
    /// The version that the database has.
    pub from: VersionRef,
    /// The version that it shall have.
    pub to: VersionRef,
    /// How much of the upgrade is done.
    #[serde(default)]
    pub scope: Scope,
    /// The user's choice, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_mode: Option<TransferMode>,
    /// How long the old data is kept once the upgrade is done, in seconds; as the transfer mode has it where the
    /// user did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_old_data_seconds: Option<u64>,
    /// What is done about indexes that the new image would sort in another way.
    #[serde(default)]
    pub reindex: Reindex,
    /// Longest time of one step, in seconds; no limit where the user gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How often a failed step is tried again.
    pub max_retries: u32,
}

/// One side of an upgrade.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionRef {
    /// Name of the `PostgresVersion`.
    pub name: String,
    /// `spec.version` of the `PostgresVersion`.
    pub version: String,
    /// The server's image.
    pub image: String,
}

impl VersionRef {
    /// The version of `PostgreSQL`.
    pub fn pg_version(&self) -> Result<PgVersion, ParseVersionError> {
        self.version.parse()
    }
}

/// How much of an upgrade is done.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Scope {
    /// All of it.
    #[default]
    Upgrade,
    /// Up to its preflight, which changes nothing.
    DryRun,
}

impl Scope {
    /// The steps that are taken, in order.
    #[must_use]
    pub fn steps(self, kind: UpgradeKind) -> &'static [Step] {
        let all = Step::sequence(kind);
        match self {
            Self::Upgrade => all,
            Self::DryRun => {
                let preflight = all.iter().position(|step| *step == Step::Preflight);
                &all[..preflight.map_or(0, |index| index + 1)]
            }
        }
    }
}

/// Whether data must be converted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpgradeKind {
    /// Same major version: the image changes, the data stays.
    Minor,
    /// Another major version: `pg_upgrade`.
    Major,
}

/// The steps, under `KubeDB`'s names where the step is the same.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Step {
    /// The target's programs run, and so do the staged old ones.
    CopiedOldBinaries,
    /// What would fail later fails here, while the database serves.
    Preflight,
    /// The new cluster is initialised to match the old one.
    DataDirectoryInitialized,
    /// The provisioner is kept away.
    PauseDatabase,
    /// The old server is shut down cleanly; the outage begins.
    StopDatabase,
    /// The workload has the new image; of a major upgrade, its pod comes up meanwhile and waits.
    UpdateStatefulSetImage,
    /// `pg_upgrade` has run.
    PgUpgraded,
    /// The volume says that the new data directory serves.
    ReplacedDataDirectory,
    /// The pod runs with the new image; the outage ends.
    StartDatabase,
    /// The server itself was asked for its version and contents.
    VerifyDatabase,
    /// `Postgres.spec.version` names the new version.
    UpdateDatabase,
    /// The provisioner may work again.
    ResumeDatabase,
    /// Extensions have the SQL version that the new image brings.
    UpdateExtensions,
    /// Indexes on text have the order of the new image.
    RebuildIndexes,
    /// Statistics for the planner.
    Analyze,
    /// The old data is removed.
    CleanUp,
}

impl Step {
    /// The steps of an upgrade, in order.
    #[must_use]
    pub fn sequence(kind: UpgradeKind) -> &'static [Step] {
        use Step::{
            Analyze, CleanUp, CopiedOldBinaries, DataDirectoryInitialized, PauseDatabase, PgUpgraded,
            Preflight, RebuildIndexes, ReplacedDataDirectory, ResumeDatabase, StartDatabase, StopDatabase,
            UpdateDatabase, UpdateExtensions, UpdateStatefulSetImage, VerifyDatabase,
        };
        match kind {
            UpgradeKind::Minor => &[
                Preflight,
                PauseDatabase,
                UpdateStatefulSetImage,
                StopDatabase,
                StartDatabase,
                VerifyDatabase,
                UpdateDatabase,
                ResumeDatabase,
                RebuildIndexes,
            ],
            UpgradeKind::Major => &[
                CopiedOldBinaries,
                Preflight,
                DataDirectoryInitialized,
                PauseDatabase,
                StopDatabase,
                UpdateStatefulSetImage,
                PgUpgraded,
                ReplacedDataDirectory,
                StartDatabase,
                VerifyDatabase,
                UpdateDatabase,
                ResumeDatabase,
                UpdateExtensions,
                RebuildIndexes,
                Analyze,
                CleanUp,
            ],
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}

impl UpgradePlan {
    /// Whether data must be converted.
    pub fn kind(&self) -> Result<UpgradeKind, ParseVersionError> {
        let same = self.from.pg_version()?.major == self.to.pg_version()?.major;
        Ok(if same { UpgradeKind::Minor } else { UpgradeKind::Major })
    }

    /// The message of the `Paused` condition: who holds the database, and what for.
    #[must_use]
    pub fn pause_message(&self) -> String {
        let Self { request, request_uid, from, to, .. } = self;
        format!(
            "paused by PostgresOpsRequest {request} (uid {request_uid}) for the upgrade {} to {}",
            from.name, to.name
        )
    }
}

/// Uid of the request that holds a database, read from the message of its `Paused` condition.
#[must_use]
pub fn pause_owner_uid(message: &str) -> Option<&str> {
    message.split_once("(uid ")?.1.split_once(')').map(|(uid, _)| uid)
}

/// Name of the request that holds a database, read from the same message.
#[must_use]
pub fn pause_owner_name(message: &str) -> Option<&str> {
    message.strip_prefix("paused by PostgresOpsRequest ")?.split_once(" (uid ").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(version: &str) -> VersionRef {
        VersionRef { name: version.into(), version: version.into(), image: format!("postgres:{version}") }
    }

    fn plan(from: &str, to: &str) -> UpgradePlan {
        UpgradePlan {
            namespace: "demo".into(),
            request: "orders-17".into(),
            request_uid: "3f9c21aa".into(),
            database: "orders".into(),
            from: side(from),
            to: side(to),
            scope: Scope::Upgrade,
            transfer_mode: None,
            keep_old_data_seconds: None,
            reindex: Reindex::default(),
            timeout_seconds: None,
            max_retries: 1,
        }
    }

    #[test]
    fn another_major_version_is_a_major_upgrade() {
        assert_eq!(plan("13.16", "13.23").kind().unwrap(), UpgradeKind::Minor);
        assert_eq!(plan("13.16", "17.11").kind().unwrap(), UpgradeKind::Major);
        assert!(plan("13.16", "latest").kind().is_err());
    }

    #[test]
    fn a_dry_run_ends_before_anything_is_touched() {
        use Step::{CopiedOldBinaries, Preflight};
        assert_eq!(Scope::DryRun.steps(UpgradeKind::Minor), [Preflight]);
        assert_eq!(Scope::DryRun.steps(UpgradeKind::Major), [CopiedOldBinaries, Preflight]);
        for kind in [UpgradeKind::Minor, UpgradeKind::Major] {
            assert_eq!(Scope::Upgrade.steps(kind), Step::sequence(kind));
        }
    }

    #[test]
    fn the_pause_names_its_owner() {
        let message = plan("13.16", "17.11").pause_message();
        assert_eq!(pause_owner_uid(&message), Some("3f9c21aa"));
        assert_eq!(pause_owner_name(&message), Some("orders-17"));
        assert_eq!(pause_owner_uid("paused by a person"), None);
        assert_eq!(pause_owner_name("paused by a person"), None);
    }

    #[test]
    fn a_plan_survives_its_way_through_the_job() {
        let plan = plan("13.16", "17.11");
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<UpgradePlan>(&json).unwrap(), plan);
    }
}
