//! What differs between the tests.

/// What the runner does while the database is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It stops the primary and starts it again, in the same scope.
    Restart,
    /// It upgrades the primary's data, starts the new version in a scope of its own, and moves the standbys there.
    MajorUpgrade,
}

/// When the runner takes the pause for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belief {
    /// When each member's REST API says so.
    EveryMember,
    /// When it has written it.
    AsWritten,
}

/// When the runner lifts the pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// After the server runs and has the lock.
    ServerLockResume,
    /// Before it starts the server.
    BeforeServer,
}

/// What a pause does to the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// Patroni disarms it when it sees the pause, and arms it when it sees that the pause is lifted: what Patroni does.
    DisarmedByPatroni,
    /// It stays armed. The runner suspends it when every member believes the pause, and ends that before it lifts the pause.
    SuspendedByRunner,
}

/// What is assumed of the leader's Patroni while a pause begins or ends: from when it is written until every member believes it, and from
/// when it is lifted until the leader writes keepalives again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leader {
    /// It renews the lock in time.
    KeepsTheLock,
    /// It may be frozen, so that the lock expires.
    MayFreeze,
}

/// PID 1 refuses starts, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing is refused.
    Absent,
    /// A start is refused while the runner holds the interlock or has frozen the database.
    Enforced,
}

/// Everything that differs between the tests of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What the pause is for.
    pub work: Work,
    /// When the pause is believed.
    pub belief: Belief,
    /// When it is lifted.
    pub resume: Resume,
    /// The watchdog.
    pub watchdog: Watchdog,
    /// The assumption on the leader.
    pub leader: Leader,
    /// The gate.
    pub gate: Gate,
}

impl Rules {
    /// What Patroni does, and the assumption that it needs.
    #[must_use]
    pub const fn of_patroni(work: Work) -> Self {
        Self {
            work,
            belief: Belief::EveryMember,
            resume: Resume::ServerLockResume,
            watchdog: Watchdog::DisarmedByPatroni,
            leader: Leader::KeepsTheLock,
            gate: Gate::Enforced,
        }
    }

    /// What needs no assumption on Patroni.
    #[must_use]
    pub const fn with_suspended_watchdog(work: Work) -> Self {
        Self { watchdog: Watchdog::SuspendedByRunner, leader: Leader::MayFreeze, ..Self::of_patroni(work) }
    }
}
