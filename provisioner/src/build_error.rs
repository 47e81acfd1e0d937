//! Why a `Postgres` cannot be built.

use pgops_api::version::ParseVersionError;
use pgops_api::{ForeignObject, PgVersion};
use pgops_kube::ApiError;

/// Why a `Postgres` cannot be built as specified. Each message names the field, the value and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(
        "metadata.name \"{0}\" cannot name a StatefulSet and its Services: use at most 52 characters of a-z, 0-9 and \
         '-', starting with a letter"
    )]
    Name(String),
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
    #[error(
        "PostgresVersion \"{0}\" cannot be used: its spec.securityContext.runAsUser is {1}, and PostgreSQL refuses to \
         run as root: set it to the image's own user, such as 999 (Debian) or 70 (Alpine)"
    )]
    Root(String, i64),
    #[error("spec.replicas is {0}, but this version of pgops does not support standbys: set it to 1")]
    Replicas(i32),
    #[error(
        "spec.storage is missing, and spec.storageType is Durable: add storage with resources.requests.storage, or \
         set spec.storageType to Ephemeral for data that may be lost"
    )]
    NoStorage,
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
            Self::Name(_) => "InvalidName",
            Self::UnknownVersion(_) => "UnknownVersion",
            Self::UnreadableVersion { .. } | Self::UnreadableEntry { .. } => "UnreadableVersion",
            Self::Root(..) => "RunsAsRoot",
            Self::Replicas(_) => "UnsupportedReplicas",
            Self::NoStorage => "NoStorage",
            Self::PodTemplate(_) => "InvalidPodTemplate",
            Self::MajorChanged { .. } => "UpgradeNeeded",
            Self::Taken(_) => "NameTaken",
            Self::Refused { .. } => "ReconcileFailed",
        }
    }
}
