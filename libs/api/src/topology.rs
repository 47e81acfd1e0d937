//! How many servers a database has, and how its standbys follow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an installation builds databases with standbys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StandbySupport {
    /// A database has one server.
    #[default]
    Disabled,
    /// A database may have more, which is not for use yet.
    Enabled,
}

impl StandbySupport {
    /// Of an installation with or without the flag.
    #[must_use]
    pub fn enabled_if(is_enabled: bool) -> Self {
        if is_enabled { Self::Enabled } else { Self::Disabled }
    }
}

/// Whether clients may read from standbys.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StandbyMode {
    /// They may.
    #[default]
    Hot,
    /// They may not.
    Warm,
}

/// Whether a commit waits for a standby.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StreamingMode {
    /// It does not: the last commits before a failover may be lost.
    #[default]
    Asynchronous,
    /// It does, as long as there is one that streams.
    Synchronous,
}

/// The servers of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Topology {
    /// One server, which nothing replaces.
    Single,
    /// A primary and standbys.
    Standbys(Standbys),
}

/// The servers of a database that has standbys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standbys {
    servers: u32,
    /// Whether a commit waits for one of the standbys.
    pub streaming: StreamingMode,
}

/// A number of servers that no database can have. The message continues that number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// No server at all.
    #[error(
        "is not supported: set spec.replicas: 1; to stop the database and keep its data, set spec.deletionPolicy: Halt \
         and delete it"
    )]
    NoServer,
    /// A negative number.
    #[error("is negative: set spec.replicas: 1")]
    Negative,
}

impl Topology {
    /// Of this number of servers.
    pub fn new(replicas: i32, streaming: StreamingMode) -> Result<Self, TopologyError> {
        match u32::try_from(replicas) {
            Err(_) => Err(TopologyError::Negative),
            Ok(0) => Err(TopologyError::NoServer),
            Ok(1) => Ok(Self::Single),
            Ok(servers) => Ok(Self::Standbys(Standbys { servers, streaming })),
        }
    }
}

impl Standbys {
    /// Number of servers, the primary included: two at least.
    #[must_use]
    pub fn servers(self) -> u32 {
        self.servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(1, Ok(Topology::Single))]
    #[case(2, Ok(Topology::Standbys(Standbys { servers: 2, streaming: StreamingMode::Synchronous })))]
    #[case(0, Err(TopologyError::NoServer))]
    #[case(-1, Err(TopologyError::Negative))]
    fn topology_follows_the_number_of_servers(
        #[case] replicas: i32,
        #[case] expected: Result<Topology, TopologyError>,
    ) {
        assert_eq!(Topology::new(replicas, StreamingMode::Synchronous), expected);
    }

    #[test]
    fn standbys_are_not_supported_unless_the_installation_enables_them() {
        assert_eq!(StandbySupport::default(), StandbySupport::enabled_if(false));
        assert_eq!(StandbySupport::enabled_if(true), StandbySupport::Enabled);
    }
}
