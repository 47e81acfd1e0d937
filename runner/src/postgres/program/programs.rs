//! The programs of an installation, and the agent that runs them.

use std::path::Path;

use pgops_api::PgVersion;

use super::command::{CommandError, Program};
use super::installation::Installation;
use crate::agent::{Agent, AgentError};

/// A program of an image could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(
        "failed to verify {program}: it reports \"{found}\", but version {expected} is expected; \
         correct the image or spec.version of the PostgresVersion"
    )]
    OtherVersion {
        program: String,
        /// The version in the plan.
        expected: PgVersion,
        found: String,
    },
}

/// The programs of an installation.
#[derive(Clone, Debug)]
pub struct Programs {
    pub agent: Agent,
    pub installation: Installation,
    pub major: u32,
}

impl Programs {
    /// Those of a major version below `root`, in the agent's container.
    pub async fn find(agent: &Agent, root: &Path, major: u32) -> Result<Self, AgentError> {
        let installation = agent.find_installation(root, major).await?;
        Ok(Self { agent: agent.clone(), installation, major })
    }

    /// One of them.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        Program::new(&self.agent, &self.installation.program(name))
    }

    /// Runs each program with `-V` and compares the version that it reports with `expected`.
    pub async fn verify(&self, names: &[&str], expected: PgVersion) -> Result<(), VerifyError> {
        for name in names {
            let found = self.program(name).arg("-V").output().await?.trim().to_owned();
            if PgVersion::from_banner(&found).ok() != Some(expected) {
                let program = self.installation.program(name).display().to_string();
                return Err(VerifyError::OtherVersion { program, expected, found });
            }
        }
        Ok(())
    }
}
