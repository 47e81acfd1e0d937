//! What the API server, the members and the runner have at one instant.

use super::stage::Stage;

/// The number of a member.
pub type Id = u8;

/// The records of one major version, and all members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State<const N: usize> {
    /// The records of the old version, and of the new one.
    pub scopes: [Scope; 2],
    /// Each member with its server.
    pub members: [Member; N],
    /// How far the runner is.
    pub stage: Stage,
    /// The member whose server the runner stops.
    pub target: Id,
    /// A standby was promoted in a scope that every member believed to be paused.
    pub promoted_while_paused: bool,
    /// A server was started although the gate had to refuse it.
    pub refused_start: bool,
}

/// The records of one scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// `pause` in `config`.
    pub paused: bool,
    /// Whom the lock names, if it has not expired.
    pub holder: Option<Id>,
}

/// Which scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// That of the version before the upgrade.
    Old,
    /// That of the version after it.
    New,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The scope in which its Patroni runs.
    pub version: Version,
    /// Whether its Patroni believes that the scope is paused.
    pub believes_paused: bool,
    /// The server.
    pub server: Server,
    /// Whether the watchdog would kill the server.
    pub watchdog: Watchdog,
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    /// No process runs.
    Stopped,
    /// In recovery.
    Standby,
    /// Out of recovery: takes writes.
    Primary,
}

/// The watchdog of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Watchdog {
    /// Not armed.
    Off,
    /// Kills when keepalives stop.
    Armed,
    /// Receives keepalives, and does not kill: the runner has suspended it.
    Suspended,
}

impl Member {
    /// Whether its server takes writes.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        self.server == Server::Primary
    }
}

impl<const N: usize> State<N> {
    /// The first server leads in the old scope.
    #[must_use]
    pub fn initial() -> Self {
        let member = |id: usize| Member {
            version: Version::Old,
            believes_paused: false,
            server: if id == 0 { Server::Primary } else { Server::Standby },
            watchdog: if id == 0 { Watchdog::Armed } else { Watchdog::Off },
        };
        let scope = |holder| Scope { paused: false, holder };
        Self {
            scopes: [scope(Some(0)), scope(None)],
            members: std::array::from_fn(member),
            stage: Stage::Pause,
            target: 0,
            promoted_while_paused: false,
            refused_start: false,
        }
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, id: Id) -> &Member {
        &self.members[usize::from(id)]
    }

    /// The records of the scope in which a member's Patroni runs.
    #[must_use]
    pub fn scope_of(&self, id: Id) -> &Scope {
        &self.scopes[self.member(id).version as usize]
    }

    /// The same, to be changed.
    pub fn scope_of_mut(&mut self, id: Id) -> &mut Scope {
        &mut self.scopes[self.members[usize::from(id)].version as usize]
    }

    /// Whether something has happened that never may. What follows is not visited.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.primaries() > 1 || self.promoted_while_paused || self.refused_start
    }

    /// How many servers take writes.
    #[must_use]
    pub fn primaries(&self) -> usize {
        self.members.iter().filter(|it| it.takes_writes()).count()
    }

    /// Whether no member of the scope would promote.
    #[must_use]
    pub fn all_believe_paused(&self, version: Version) -> bool {
        self.members.iter().all(|it| it.version != version || it.believes_paused)
    }
}
