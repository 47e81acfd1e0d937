//! How the runner has `PostgreSQL`'s programs run: by an agent in another container of the worker's pod.
//!
//! The runner has a token, a password and no program of `PostgreSQL`; the agents (`worker/agent.rs`) have programs and
//! neither. They meet at a Unix socket in an `emptyDir`: [`protocol`] is what they say, [`connection`] how it gets
//! across, [`client`] the runner's end. The runner trusts no answer: what it reads is bounded, and an answer that does
//! not fit the request is an error.

pub mod client;
pub mod connection;
mod memory;
pub mod protocol;
pub mod socket;

use std::path::Path;

use pgops_api::layout::{AGENT_SOCKET, PROGRAMS_DIR, REHEARSAL_DIR};
use pgops_api::names::{CONTAINER_PROGRAMS, CONTAINER_REHEARSAL};

pub use client::{Agent, AgentError};

/// The agents of a worker's pod.
#[derive(Clone, Debug)]
pub struct Agents {
    /// Runs programs on the volume, and those that connect to the database.
    pub programs: Agent,
    /// Runs the scratch server, and with it code of users. Exists in major upgrades only.
    pub rehearsal: Agent,
}

impl Agents {
    /// Those of this pod. Nothing is sent to them yet.
    #[must_use]
    pub fn of_this_pod() -> Self {
        let agent = |container, directory| Agent::new(container, Path::new(directory).join(AGENT_SOCKET));
        Self {
            programs: agent(CONTAINER_PROGRAMS, PROGRAMS_DIR),
            rehearsal: agent(CONTAINER_REHEARSAL, REHEARSAL_DIR),
        }
    }
}
