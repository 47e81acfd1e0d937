//! What the API server and the members of a database know and run at one instant.
//!
//! Only what decides later steps is kept, so that few states remain. A resourceVersion is never compared with anything but the current
//! one, so a view or a request is either current or, for every later time, outdated; an outdated request is always refused, and
//! therefore not kept at all.

/// The number of a member.
pub type Id = u8;

/// The record of the lock, and all members.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State<const N: usize> {
    /// Whom the record names.
    pub holder: Option<Id>,
    /// Each member with its server.
    pub members: [Member; N],
    /// A server was started although the gate had to refuse it.
    pub refused_start: bool,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// What Patroni has seen of the record.
    pub view: View,
    /// What Patroni waits for.
    pub request: Option<Request>,
    /// A take of the lock that Patroni has given up, and the API server may still apply.
    pub late_take: bool,
    /// The same of a release.
    pub late_release: bool,
    /// The server.
    pub server: Server,
    /// Since when the watchdog has counted, if it is armed.
    pub watchdog: Option<u8>,
    /// The watchdog has killed the server, and Patroni has not read the record since.
    pub lock_unseen: bool,
}

/// What Patroni has seen of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum View {
    /// The record has changed since, or was never read.
    Outdated,
    /// Nothing has changed since it was read.
    Current {
        /// How long ago Patroni saw it change, or accepted the leader's failsafe call. Counted up to the ttl, and only while another member
        /// holds the lock.
        since: u8,
    },
}

/// A request of Patroni.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// What it is.
    pub kind: RequestKind,
    /// How long ago it was sent, if that is needed.
    pub age: u8,
}

/// What a request is, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// Take or renew the lock: on its way to the API server.
    Take,
    /// Applied; the response is on its way.
    Taken,
    /// Give the lock up: on its way. Its response changes nothing.
    Release,
    /// Ask all members whether this one may lead without the API server.
    Failsafe {
        /// Who has accepted, a bit for each member.
        accepted: u8,
    },
}

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// No process runs.
    Stopped,
    /// In recovery.
    Standby,
    /// In recovery. Patroni has the lock confirmed and will promote it.
    Elected {
        /// How long ago the confirmed request was sent, if that is needed.
        since: u8,
    },
    /// Out of recovery: takes writes.
    Primary,
    /// The same, but its kill has begun.
    Ending {
        /// How long the kill may still take.
        left: u8,
    },
}

impl Server {
    /// Whether it may acknowledge a write.
    #[must_use]
    pub const fn takes_writes(self) -> bool {
        matches!(self, Self::Primary | Self::Ending { .. })
    }
}

impl<const N: usize> State<N> {
    /// All servers follow, and the lock is free.
    #[must_use]
    pub fn initial() -> Self {
        let member = Member {
            view: View::Outdated,
            request: None,
            late_take: false,
            late_release: false,
            server: Server::Standby,
            watchdog: None,
            lock_unseen: false,
        };
        Self { holder: None, members: std::array::from_fn(|_| member.clone()), refused_start: false }
    }

    /// The record is written: every view is outdated, and every request that names the previous resourceVersion will be refused.
    pub fn write_record(&mut self, holder: Option<Id>) {
        self.holder = holder;
        for member in &mut self.members {
            member.view = View::Outdated;
            member.late_take = false;
            member.late_release = false;
            if member.request.is_some_and(|it| matches!(it.kind, RequestKind::Take | RequestKind::Release)) {
                member.request = None;
            }
        }
    }

    /// Whether something has happened that never may. What follows is not visited.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.primaries() > 1 || self.refused_start
    }

    /// How many servers may acknowledge a write.
    #[must_use]
    pub fn primaries(&self) -> usize {
        self.members.iter().filter(|it| it.server.takes_writes()).count()
    }
}
