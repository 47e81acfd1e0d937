//! When the watchdog ends a server, kills it, and lets one be started again.

use std::time::Duration;

use pgops_api::failover_timings::Timings;

use super::clock::BootTime;
use super::commands::Command;

/// Longest time without a keepalive, whatever Patroni has asked for. With the time that a renewal and the kill take it must stay
/// below Patroni's `ttl`, after which another server may be promoted.
pub const LIMIT: Duration = Duration::from_secs(Timings::STANDBYS.watchdog() as u64);
/// Time for the server to end by itself.
pub const GRACE: Duration = Duration::from_secs(1);

/// Whether Patroni has to be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Disarmed,
    Armed {
        /// When it was seen last, at the latest.
        fed: BootTime,
        limit: Duration,
    },
}

/// What the watchdog has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing.
    Watching,
    /// It has ended the server.
    Fired {
        at: BootTime,
        /// Whether Patroni was seen since.
        seen: bool,
    },
}

/// The watchdog.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Machine {
    mode: Mode,
    phase: Phase,
}

/// Something that the watchdog learns.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    Command(Command),
    /// Patroni was started again. It does not lead before it has opened the watchdog.
    PatroniStarted,
}

/// Whether a program works on the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Server {
    Runs,
    Ended,
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Time of the previous look.
    pub since: BootTime,
    pub now: BootTime,
    /// What came in between.
    pub events: &'a [Event],
    pub server: Server,
}

/// What is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// No program is started from now on, and the server is asked to end at once.
    Fire,
    /// Everything that works on the data is killed.
    Kill,
    /// Programs may be started.
    Release,
}

impl Machine {
    pub const fn new() -> Self {
        Self { mode: Mode::Disarmed, phase: Phase::Watching }
    }

    /// What follows from a look, and what is done.
    pub fn look(self, look: &Look<'_>) -> (Self, Option<Action>) {
        let next = look.events.iter().fold(self, |machine, event| machine.learn(*event, look.since));
        match (next.phase, next.mode) {
            (Phase::Watching, Mode::Armed { fed, limit }) if look.now - fed >= limit => {
                let phase = Phase::Fired { at: look.now, seen: false };
                (Self { phase, ..next }, Some(Action::Fire))
            }
            (Phase::Fired { at, .. }, _) if look.server == Server::Runs => {
                let is_due = look.now - at >= GRACE;
                (next, is_due.then_some(Action::Kill))
            }
            (Phase::Fired { seen: true, .. }, _) => {
                (Self { phase: Phase::Watching, ..next }, Some(Action::Release))
            }
            _ => (next, None),
        }
    }

    /// Takes an event for as old as it can be. When this process and Patroni have been frozen together, a keepalive from before
    /// says nothing about the present.
    fn learn(self, event: Event, at_the_earliest: BootTime) -> Self {
        let fed = at_the_earliest;
        let mode = match (event, self.mode) {
            (Event::Command(Command::Arm(asked)), _) => Mode::Armed { fed, limit: asked.min(LIMIT) },
            (Event::Command(Command::KeepAlive), Mode::Armed { limit, .. }) => Mode::Armed { fed, limit },
            (Event::Command(Command::KeepAlive), Mode::Disarmed) => Mode::Armed { fed, limit: LIMIT },
            // The previous one has not laid its role down: its server may still be the primary.
            (Event::PatroniStarted, mode) if self.phase == Phase::Watching => mode,
            (Event::Command(Command::Disarm) | Event::PatroniStarted, _) => Mode::Disarmed,
        };
        let phase = match self.phase {
            Phase::Watching => Phase::Watching,
            Phase::Fired { at, .. } => Phase::Fired { at, seen: true },
        };
        Self { mode, phase }
    }
}
