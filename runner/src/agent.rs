//! How the runner has `PostgreSQL`'s programs run: by an agent in another container of the worker's pod.
//!
//! The runner has a token, a password and no program of `PostgreSQL`; the agents (`worker/agent.rs`) have programs and
//! neither. They meet at a Unix socket in an `emptyDir`, once, before code of users can run in the agent's container:
//! [`handover`] is how the runner gets the connections, [`control`] what they carry, [`protocol`] what both say, [`connection`]
//! how it gets across, [`client`] the runner's end. The runner trusts no answer: what it reads is bounded in size and time, and
//! an answer that does not fit the request is an error.

pub mod client;
pub mod connection;
pub mod control;
mod descriptors;
pub mod handover;
mod memory;
pub mod protocol;

use std::io;

use pgops_api::names::CONTAINER_REHEARSAL;

use self::control::Control;
use self::descriptors::into_stream;
pub use client::{Agent, AgentError};

/// The agents of a worker's pod.
#[derive(Clone, Debug)]
pub struct Agents {
    /// Runs programs on the volume, and those that connect to the database.
    pub programs: Agent,
    /// Runs the scratch server, and with it code of users. Exists in major upgrades only.
    rehearsal: Option<Agent>,
}

impl Agents {
    /// Those of this pod, over the connections that the parent of this process has given. Nothing is sent to them yet.
    pub fn inherited() -> io::Result<Self> {
        let mut agents =
            handover::CONTAINERS.into_iter().zip(handover::take()?).map(|((container, _), connection)| {
                Ok::<_, io::Error>(Agent::new(container, Control::new(into_stream(connection)?)))
            });
        let programs = agents.next().unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))?;
        Ok(Self { programs, rehearsal: agents.next().transpose()? })
    }

    /// That of the rehearsal.
    pub fn rehearsal(&self) -> Result<&Agent, AgentError> {
        self.rehearsal.as_ref().ok_or(AgentError::Missing { container: CONTAINER_REHEARSAL })
    }
}
