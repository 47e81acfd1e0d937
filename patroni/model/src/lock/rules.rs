//! The timings and protections of a database, as the model takes them.

use pgops_api::failover_timings::{self, Timings};

/// Timings in a unit that the test chooses, unchecked: some tests want those that are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// When a member may take the lock, after it saw the record change.
    pub ttl: u8,
    /// The longest time between a renewal and its confirmation, R.
    pub renewal: u8,
    /// When the watchdog kills, D.
    pub watchdog: u8,
    /// How long a kill takes at most.
    pub kill: u8,
}

impl Ticks {
    /// The real timings, in seconds.
    #[must_use]
    pub fn seconds(timings: Timings) -> Self {
        let small = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
        Self {
            ttl: small(timings.ttl()),
            renewal: small(timings.retry_timeout()),
            watchdog: small(timings.watchdog()),
            kill: small(timings.kill()),
        }
    }

    /// Whether the rule of [`pgops_api::failover_timings`] holds.
    #[must_use]
    pub const fn server_ends_in_time(self) -> bool {
        failover_timings::server_ends_in_time(self.ttl as u16, self.watchdog as u16, self.kill as u16)
    }

    /// Whether the rule holds that keepalives without a date need.
    #[must_use]
    pub const fn server_ends_in_time_without_dates(self) -> bool {
        self.renewal + self.watchdog + self.kill < self.ttl
    }
}

/// The watchdog in PID 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watchdog {
    /// There is none.
    Absent,
    /// It counts from when Patroni writes the keepalive, which is after the confirmation: what Patroni alone does.
    FromConfirmation,
    /// It counts from when the confirmed request was sent, which the keepalive says: what pgops does.
    FromRequest,
}

/// When Patroni may be frozen (SIGSTOP, no CPU).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freezes {
    /// For any time, but not between a request, its confirmation, the keepalive and the promotion.
    BetweenRounds,
    /// For any time, anywhere.
    Anywhere,
}

/// A rule that PID 1 enforces, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing is refused.
    Absent,
    /// PID 1 refuses.
    Enforced,
}

/// Whether PID 1 does what it has to do in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pid1 {
    /// It runs whenever the server runs.
    Runs,
    /// It may be frozen while the server runs.
    Freezes,
}

/// Everything that differs between the tests of the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The timings.
    pub ticks: Ticks,
    /// The watchdog.
    pub watchdog: Watchdog,
    /// When Patroni may be frozen.
    pub freezes: Freezes,
    /// Refuses a start after a kill until the lock has been seen again.
    pub start_gate: Gate,
    /// Refuses a promotion if the confirmed request was sent too long ago.
    pub promotion_gate: Gate,
    /// The assumption on PID 1.
    pub pid1: Pid1,
}

impl Rules {
    /// What pgops does. Patroni may be frozen anywhere.
    #[must_use]
    pub const fn of_pgops(ticks: Ticks) -> Self {
        Self {
            ticks,
            watchdog: Watchdog::FromRequest,
            freezes: Freezes::Anywhere,
            start_gate: Gate::Enforced,
            promotion_gate: Gate::Enforced,
            pid1: Pid1::Runs,
        }
    }

    /// Without dates and without a gate for promotions, for a Patroni that is frozen between its rounds only.
    #[must_use]
    pub const fn without_dates(ticks: Ticks) -> Self {
        Self {
            watchdog: Watchdog::FromConfirmation,
            freezes: Freezes::BetweenRounds,
            promotion_gate: Gate::Absent,
            ..Self::of_pgops(ticks)
        }
    }

    /// The age up to which requests differ: after that they are as old as any other.
    #[must_use]
    pub const fn oldest_request(&self) -> u8 {
        match self.freezes {
            Freezes::BetweenRounds => self.ticks.renewal,
            Freezes::Anywhere => self.ticks.watchdog,
        }
    }
}
