//! Why a step cannot be done.

use std::io;

pub use pgops_api::display_chain;
use pgops_api::plan::Step;
use pgops_api::version::ParseVersionError;

use super::Finding;
use crate::cluster::ClusterError;
use crate::postgres::client::error::ServerError;
use crate::postgres::pg_upgrade::PgUpgradeError;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::installation::InstallationError;
use crate::postgres::server::private_server::PrivateServerError;
use crate::postgres::server::recovery::RecoveryError;
use crate::postgres::server::scratch::ScratchError;
use crate::saga::{Failure, UndoError};

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
    /// The access rules of a private server.
    #[error(transparent)]
    PrivateServer(#[from] PrivateServerError),
    /// The old data.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The scratch server of the rehearsal.
    #[error(transparent)]
    Scratch(#[from] ScratchError),
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
    /// Things that would make the upgrade fail, and what else was found.
    #[error("{} the upgrade:\n{}", count(.0), list(.0))]
    Findings(Vec<Finding>),
    /// Most of an optional step was done; these things were not.
    #[error("{}", shortened(.0))]
    LeftUndone(Vec<String>),
    /// Something is not as the plan or the step before has it.
    #[error("{0}")]
    Unexpected(String),
    /// The step is not taken back: the new server was there for clients.
    #[error("the new server {0} and may have taken writes: there is no way back without a loss")]
    NoWayBack(&'static str),
    /// The step took longer than `spec.timeout`, or than its own limit.
    #[error("the step took longer than {0} s, the limit of spec.timeout or its own")]
    Timeout(u64),
}

fn count(findings: &[Finding]) -> String {
    match findings.iter().filter(|finding| finding.blocks()).count() {
        1 => "1 finding blocks".to_owned(),
        count => format!("{count} findings block"),
    }
}

/// What blocks comes first.
fn list(findings: &[Finding]) -> String {
    let (blocking, notes): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.blocks());
    blocking.into_iter().chain(notes).map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// So many lines are enough for a message.
const LINES: usize = 20;

fn shortened(lines: &[String]) -> String {
    match lines.len().checked_sub(LINES) {
        None | Some(0) => lines.join("\n"),
        Some(more) => format!("{}\n… and {more} more", lines[..LINES].join("\n")),
    }
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
        Failure { reason: format!("{step}Failed"), message: display_chain(self), may_pass: self.may_pass() }
    }

    /// The same of a step that is taken back.
    #[must_use]
    pub fn not_undone(&self, step: Step) -> UndoError {
        match self {
            Self::NoWayBack(_) => UndoError::NoWayBack(self.failure(step)),
            _ => UndoError::Failed(self.failure(step)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_things_left_undone_are_counted_and_the_first_named() {
        let lines = |count: usize| (0..count).map(|number| format!("index {number}")).collect::<Vec<_>>();
        assert_eq!(StepError::LeftUndone(lines(2)).to_string(), "index 0\nindex 1");
        assert!(StepError::LeftUndone(lines(LINES)).to_string().ends_with("index 19"));
        assert!(StepError::LeftUndone(lines(50)).to_string().ends_with("index 19\n… and 30 more"));
    }

    #[test]
    fn what_blocks_is_counted_and_named_before_the_notes() {
        let findings = vec![Finding::note("extension-version", "hstore"), Finding::new("free-space", "none")];
        let text = StepError::Findings(findings).to_string();
        assert_eq!(
            text,
            "1 finding blocks the upgrade:\n[free-space] none\n[extension-version] note: hstore"
        );
    }
}
