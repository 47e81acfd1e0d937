//! Why a step cannot be done.

use std::io;

pub use pgops_api::chain;
use pgops_api::plan::Step;
use pgops_api::version::ParseVersionError;

use super::Finding;
use crate::cluster::ClusterError;
use crate::postgres::command::CommandError;
use crate::postgres::installation::InstallationError;
use crate::postgres::pg_upgrade::PgUpgradeError;
use crate::postgres::recovery::RecoveryError;
use crate::postgres::server::ServerError;
use crate::saga::Failure;

/// Why a step cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The control plane.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A program of `PostgreSQL`.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The programs of an image.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// `pg_upgrade`.
    #[error(transparent)]
    PgUpgrade(#[from] PgUpgradeError),
    /// The old data.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The serving database.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A version in the plan.
    #[error(transparent)]
    Version(#[from] ParseVersionError),
    /// The volume.
    #[error("failed to {what}")]
    Volume {
        /// What was tried, with the path.
        what: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Things that would make the upgrade fail.
    #[error("{} block the upgrade:\n{}", count(.0), list(.0))]
    Findings(Vec<Finding>),
    /// Most of an optional step was done; these things were not.
    #[error("{}", .0.join("\n"))]
    LeftUndone(Vec<String>),
    /// Something is not as the plan or the step before has it.
    #[error("{0}")]
    Unexpected(String),
    /// The step took longer than `spec.timeout`, or than its own limit.
    #[error("the step took longer than {0} s, the limit of spec.timeout or its own")]
    Timeout(u64),
}

fn count(findings: &[Finding]) -> String {
    if findings.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", findings.len()) }
}

fn list(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl StepError {
    /// An error of the volume.
    pub fn volume(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Volume { what, source }
    }

    /// Whether the same step may succeed when it is done once more.
    fn may_pass(&self) -> bool {
        match self {
            Self::Cluster(error) => !matches!(error, ClusterError::Held { .. }),
            Self::Server(_) | Self::Timeout(_) => true,
            _ => false,
        }
    }

    /// What the journal and the request's status say of it.
    #[must_use]
    pub fn failure(&self, step: Step) -> Failure {
        Failure { reason: format!("{step}Failed"), message: chain(self), may_pass: self.may_pass() }
    }
}
