//! What Patroni keeps in Kubernetes: annotations of four objects, each a ConfigMap, and one annotation and one label of each pod.
//!
//! These are the names of Patroni 4.1.5 (`patroni/dcs/kubernetes.py`). They bound what may be written, and what
//! may be read.

/// A ConfigMap of a scope. All of Patroni's data in it are annotations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Record {
    /// The settings that all members share, the system identifier, and the history of timelines.
    Config,
    /// The lock, with what the leader reports at each renewal.
    Leader,
    /// Which standbys are synchronous.
    Sync,
    /// A switchover or failover that was requested.
    Failover,
}

impl Record {
    /// All of a scope.
    pub const ALL: [Self; 4] = [Self::Config, Self::Leader, Self::Sync, Self::Failover];

    /// The end of its name, after that of the scope.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Leader => "leader",
            Self::Sync => "sync",
            Self::Failover => "failover",
        }
    }

    /// The annotations that Patroni reads and writes.
    pub fn annotations(self) -> &'static [&'static str] {
        match self {
            Self::Config => &["config", "initialize", "history"],
            Self::Leader => &[
                LEADER,
                "ttl",
                "renewTime",
                "acquireTime",
                "transitions",
                "optime",
                "slots",
                "retain_slots",
                "failsafe",
            ],
            Self::Sync => &[LEADER, "sync_standby", "quorum"],
            Self::Failover => &[LEADER, "member", "scheduled_at"],
        }
    }
}

/// The annotation that names the holder of the lock.
pub const LEADER: &str = "leader";

/// The annotations of a pod that Patroni reads and writes: the state of its server.
pub const POD_ANNOTATIONS: &[&str] = &["status"];

/// What Patroni may write into the label of a pod's role: the values of the configuration for a leader and a follower, and
/// Patroni's own names of the other states of a server that runs.
pub const ROLES: [&str; 6] = [
    pgops_api::names::ROLE_PRIMARY,
    pgops_api::names::ROLE_STANDBY,
    "standby_leader",
    "demoted",
    "promoted",
    "uninitialized",
];

/// The content type of Patroni's patches.
pub const PATCH_TYPE: &str = "application/strategic-merge-patch+json";
