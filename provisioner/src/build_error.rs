//! Why a `Postgres` cannot be built.

use pgops_api::spec_check::SpecProblem;
use pgops_api::version::ParseVersionError;
use pgops_api::{ForeignObject, PgVersion, StorageRisk};
use pgops_kube::ApiError;

use crate::condition_types::CONDITION_VOLUME_AT_RISK;

/// Why a `Postgres` cannot be built as specified. Each message names the field, the value and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The field of the `Postgres` that is wrong.
    #[error(transparent)]
    Spec(SpecProblem),
    #[error(
        "spec.version \"{0}\" is not a PostgresVersion: choose one that `kubectl get postgresversions` lists, or \
         create it"
    )]
    UnknownVersion(String),
    /// The version of the catalog entry does not parse.
    #[error("PostgresVersion \"{name}\" cannot be used: its spec.version {source}")]
    UnreadableVersion {
        /// Name of the catalog entry.
        name: String,
        /// Part of the message, since conditions show no sources.
        source: ParseVersionError,
    },
    /// The catalog entry is of a shape that this program does not know.
    #[error("PostgresVersion \"{name}\" cannot be read: {cause}; correct that field")]
    UnreadableEntry {
        /// Name of the catalog entry.
        name: String,
        /// The field that does not fit.
        cause: serde_path_to_error::Error<serde_json::Error>,
    },
    #[error("PostgresVersion \"{name}\" cannot be used: {problem}")]
    Root {
        /// Name of the catalog entry.
        name: String,
        problem: String,
    },
    #[error("spec.podTemplate is invalid: its {0}; correct that field")]
    PodTemplate(serde_path_to_error::Error<serde_json::Error>),
    /// Another major version without an upgrade.
    #[error(
        "spec.version \"{name}\" is PostgreSQL {version}, but the data is of major version {data}: set spec.version \
         back, then create a PostgresOpsRequest of type UpdateVersion with targetVersion \"{name}\""
    )]
    MajorChanged {
        /// Name of the requested version.
        name: String,
        version: PgVersion,
        /// Major version of the workload.
        data: u32,
    },
    /// Standbys for a database that was built without, or the reverse.
    #[error(
        "spec.replicas is {0}, and the database was started with or without standbys otherwise, which cannot change yet: set \
         spec.replicas back, or create another database and copy the data"
    )]
    TopologyChanged(i32),
    #[error("failed to generate the certificate of the database's servers: {0}; it is tried again")]
    StandbyCertificate(rcgen::Error),
    /// The pod is not stopped for `spec.halted`.
    #[error("spec.halted is true, and the pod is not stopped, since its volume may be lost with it: {0}")]
    VolumeAtRisk(StorageRisk),
    /// A child's name is taken.
    #[error(transparent)]
    Taken(ForeignObject),
    #[error(
        "{error}: the API server refuses it: {}. Correct the field of the Postgres that it names, or what refuses it, such \
         as a quota or a policy", .error.cause()
    )]
    Refused {
        /// With the child and what the API server said.
        error: ApiError,
    },
}

impl BuildError {
    /// The reason of the condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Spec(problem) => problem.reason.as_str(),
            Self::UnknownVersion(_) => "UnknownVersion",
            Self::UnreadableVersion { .. } | Self::UnreadableEntry { .. } => "UnreadableVersion",
            Self::Root { .. } => "RunsAsRoot",
            Self::PodTemplate(_) => "InvalidPodTemplate",
            Self::MajorChanged { .. } => "UpgradeNeeded",
            Self::TopologyChanged(_) => "TopologyChanged",
            Self::VolumeAtRisk(_) => CONDITION_VOLUME_AT_RISK,
            Self::Taken(_) => "NameTaken",
            Self::StandbyCertificate(_) | Self::Refused { .. } => "ReconcileFailed",
        }
    }
}
