//! A member of a database, as it was observed.

use crate::members::MemberRole;

/// A member that the database is to have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// Name of its pod.
    pub pod: String,
    /// What there is of the pod.
    pub state: MemberState,
}

/// What there is of a member's pod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MemberState {
    /// Nothing: its StatefulSet creates it again.
    Missing,
    /// It is being deleted, and may still run.
    Ending,
    /// The pod, with its server.
    Exists(Server),
}

/// The server in a pod that exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// Uid of the pod.
    pub uid: String,
    /// Which template the pod was made from.
    pub template: Template,
    /// What the label says; none while the server is neither.
    pub role: Option<MemberRole>,
    /// Whether it answers.
    pub health: Health,
    /// What Patroni reports of the replication.
    pub replication: Replication,
    /// The timeline of its WAL.
    pub timeline: Option<u32>,
    /// Its position in the WAL, in bytes.
    pub position: Option<u64>,
}

/// Which template a pod was made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Template {
    /// The one that it should have.
    Current,
    /// Another one.
    Earlier,
    /// It is not known yet: the controller of `StatefulSet`s has to see the template first.
    Unknown,
}

/// Whether a server answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Health {
    /// It does.
    Ready,
    /// It may do so later.
    NotReady,
    /// Waiting will not bring it up: what the kubelet reports.
    Broken(String),
}

/// What Patroni reports of the replication of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replication {
    /// It receives WAL from another server.
    Streaming,
    /// It does not.
    None,
}

/// Whether Patroni acts by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Patroni {
    /// It does.
    Active,
    /// It is paused, as one member at least reports: it neither fails over nor starts a server.
    Paused,
}

impl Server {
    /// Whether it accepts writes, as its label says.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.role == Some(MemberRole::Primary)
    }

    /// Whether it replays WAL, as its label says.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.role == Some(MemberRole::Standby)
    }
}
