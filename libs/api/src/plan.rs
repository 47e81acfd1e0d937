//! The plan of one upgrade, which the launcher passes to the runner, and its steps.

mod createrole_grants;
mod example;
mod format;
mod reindex;
mod repartition;
mod transfer;
mod word;

pub use createrole_grants::CreateroleGrants;
pub use format::{PLAN_FORMAT, ParsePlanError};
pub use reindex::Reindex;
pub use repartition::Repartition;
pub use transfer::TransferMode;

use serde::{Deserialize, Serialize};

use crate::postgresversion::ExtensionSpec;
use crate::version::ParseVersionError;
use crate::{PgVersion, names};

/// Environment variable of the Job with the plan as JSON.
pub const PLAN_VARIABLE: &str = "PGOPS_PLAN";
/// Environment variable of the Job with the name of the node on which its pod runs.
pub const NODE_VARIABLE: &str = "PGOPS_NODE";
/// Exit status of a worker container whose retry would have the same result: of the runner when the request
/// has ended, of `stage` when the old image lacks a file to be staged.
pub const EXIT_ENDED: u8 = 42;

/// Everything that is decided before the Job is created. It never changes afterwards, so that a restarted
/// runner resumes with the same plan.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpgradePlan {
    /// Namespace of the request and of the database.
    pub namespace: String,
    /// Name of the `PostgresOpsRequest`.
    pub request: String,
    /// Uid of the `PostgresOpsRequest`, which owns the pause, the journal and the work directory.
    pub request_uid: String,
    /// Name of the `Postgres`.
    pub database: String,
    /// Uid of the `Postgres`: what belongs to another one of that name is not touched.
    pub database_uid: String,
    /// Version of the database before the upgrade.
    pub from: VersionRef,
    /// Version of the database after the upgrade.
    pub to: VersionRef,
    /// How many servers the database has: with more than one, their pods are replaced one by one.
    #[serde(default = "one_server", skip_serializing_if = "is_one_server")]
    pub servers: u32,
    /// The whole upgrade or a dry run.
    #[serde(default)]
    pub scope: Scope,
    /// How data is transferred, if the user chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_mode: Option<TransferMode>,
    /// How long the old data is kept after the upgrade, in seconds; the transfer mode decides if absent, see
    /// [`TransferMode::old_data_retention`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_old_data_seconds: Option<u64>,
    /// What happens to indexes that the new image would sort differently.
    #[serde(default)]
    pub reindex: Reindex,
    /// What happens to rows that belong to another partition in the new order.
    #[serde(default, skip_serializing_if = "word::is_default")]
    pub repartition: Repartition,
    /// What happens to the rights of roles with `CREATEROLE`.
    #[serde(default, skip_serializing_if = "word::is_default")]
    pub createrole_grants: CreateroleGrants,
    /// What the target's catalog entry says of extensions, as written: the preflight reports what is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionSpec>,
    /// Time limit of one step, in seconds; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
    /// How often a failed step is retried.
    pub max_retries: u32,
}

fn one_server() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one_server(servers: &u32) -> bool {
    *servers == one_server()
}

/// The source or the target of an upgrade: a catalog entry by name, version and image.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VersionRef {
    /// Name of the `PostgresVersion`.
    pub name: String,
    /// `spec.version` of the `PostgresVersion`.
    pub version: String,
    /// Image of the server.
    pub image: String,
}

impl VersionRef {
    /// The version, parsed.
    pub fn pg_version(&self) -> Result<PgVersion, ParseVersionError> {
        self.version.parse()
    }
}

/// How much of an upgrade is executed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Scope {
    /// All steps.
    #[default]
    Upgrade,
    /// The steps up to the preflight, which change nothing.
    DryRun,
}

impl Scope {
    /// The steps that are executed, in order.
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
    /// Same major version: the image changes, the data does not.
    Minor,
    /// Another major version: `pg_upgrade` converts the data.
    Major,
}

/// A step of an upgrade; it has `KubeDB`'s name if `KubeDB` has the same step.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Step {
    /// Verifies that the target's programs and the staged old programs run in the worker.
    CopiedOldBinaries,
    /// Checks everything that would fail later, while the database still serves.
    Preflight,
    /// Initialises the new cluster with the settings of the old one.
    DataDirectoryInitialized,
    /// Pauses the database, so that the provisioner leaves it alone.
    PauseDatabase,
    /// Shuts the old server down cleanly; the outage begins.
    StopDatabase,
    /// Sets the new image in the workload; in a major upgrade its pod starts during `pg_upgrade` and waits.
    UpdateStatefulSetImage,
    /// Runs `pg_upgrade`.
    PgUpgraded,
    /// Makes the new major version the active one on the volume (the switchover).
    ReplacedDataDirectory,
    /// Starts the pod with the new image; the outage ends.
    StartDatabase,
    /// Verifies the version and the contents by queries to the new server.
    VerifyDatabase,
    /// Sets `Postgres.spec.version` to the new version.
    UpdateDatabase,
    /// Lifts the pause.
    ResumeDatabase,
    /// Schedules the deletion of the old data.
    CleanUp,
    /// Updates extensions to the SQL version that the new image provides.
    UpdateExtensions,
    /// Rebuilds indexes on text that the new image sorts differently.
    RebuildIndexes,
    /// Collects statistics for the planner.
    Analyze,
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
                CleanUp,
                UpdateExtensions,
                RebuildIndexes,
                Analyze,
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
    /// Whether the database has standbys.
    #[must_use]
    pub fn has_standbys(&self) -> bool {
        self.servers > 1
    }

    /// Names of the pods of the database, in the order of their ordinals.
    pub fn pods(&self) -> impl Iterator<Item = String> {
        (0..self.servers).map(move |ordinal| names::pod(&self.database, ordinal))
    }

    /// Names of their volume claims.
    pub fn claims(&self) -> impl Iterator<Item = String> {
        (0..self.servers).map(move |ordinal| names::claim(&self.database, ordinal))
    }

    /// Whether data must be converted.
    pub fn kind(&self) -> Result<UpgradeKind, ParseVersionError> {
        let same = self.from.pg_version()?.major == self.to.pg_version()?.major;
        Ok(if same { UpgradeKind::Minor } else { UpgradeKind::Major })
    }

    /// The message of the `Paused` condition: which request paused the database, and why.
    #[must_use]
    pub fn pause_message(&self) -> String {
        let Self { request, request_uid, from, to, .. } = self;
        format!(
            "paused by PostgresOpsRequest {request} (uid {request_uid}) for the upgrade {} to {}",
            from.name, to.name
        )
    }
}

/// Uid of the request that paused a database, parsed from the message of its `Paused` condition.
#[must_use]
pub fn pause_owner_uid(message: &str) -> Option<&str> {
    parenthesized_uid(message)
}

/// The uid in the first `(uid …)` of a condition's message.
pub(crate) fn parenthesized_uid(message: &str) -> Option<&str> {
    message.split_once("(uid ")?.1.split_once(')').map(|(uid, _)| uid)
}

/// Name of the request that paused a database, parsed from the same message.
#[must_use]
pub fn pause_owner_name(message: &str) -> Option<&str> {
    message.strip_prefix("paused by PostgresOpsRequest ")?.split_once(" (uid ").map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upgrade_kind_depends_on_the_major_version() {
        assert_eq!(UpgradePlan::example("13.16", "13.23").kind().unwrap(), UpgradeKind::Minor);
        assert_eq!(UpgradePlan::example("13.16", "17.11").kind().unwrap(), UpgradeKind::Major);
        assert!(UpgradePlan::example("13.16", "latest").kind().is_err());
    }

    #[test]
    fn dry_run_ends_with_the_preflight() {
        use Step::{CopiedOldBinaries, Preflight};
        assert_eq!(Scope::DryRun.steps(UpgradeKind::Minor), [Preflight]);
        assert_eq!(Scope::DryRun.steps(UpgradeKind::Major), [CopiedOldBinaries, Preflight]);
        for kind in [UpgradeKind::Minor, UpgradeKind::Major] {
            assert_eq!(Scope::Upgrade.steps(kind), Step::sequence(kind));
        }
    }

    #[test]
    fn pause_message_names_its_owner() {
        let message = UpgradePlan::example("13.16", "17.11").pause_message();
        assert_eq!(pause_owner_uid(&message), Some("3f9c21aa-1111-2222-3333-444455556666"));
        assert_eq!(pause_owner_name(&message), Some("orders-17"));
        assert_eq!(pause_owner_uid("paused by hand"), None);
        assert_eq!(pause_owner_name("paused by hand"), None);
    }

    #[test]
    fn plan_round_trips_through_json_and_does_not_mention_defaults() {
        let example = || UpgradePlan::example("13.16", "17.11");
        let ledger = ExtensionSpec { name: "ledger".into(), ..ExtensionSpec::default() };
        let plans = [
            (UpgradePlan { repartition: Repartition::Move, ..example() }, "repartition"),
            (UpgradePlan { createrole_grants: CreateroleGrants::Carry, ..example() }, "createroleGrants"),
            (UpgradePlan { extensions: vec![ledger], ..example() }, "extensions"),
            (UpgradePlan { servers: 3, ..example() }, "servers"),
        ];
        let default = example().to_json().unwrap();
        for (plan, field) in plans {
            let json = plan.to_json().unwrap();
            assert!(json.contains(field) && !default.contains(field), "{json} {default}");
            assert_eq!(UpgradePlan::from_json(&json).unwrap(), plan);
        }
        assert_eq!(UpgradePlan::from_json(&default).unwrap(), example());
    }
}
