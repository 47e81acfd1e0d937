//! When the watchdog ends a server, kills it, and lets one be started again.

use std::time::Duration;

use pgops_api::failover_timings::Timings;

use super::clock::BootTime;
use super::commands::Command;
use crate::gate::Leadership;

/// Longest time since the last confirmed request for the lock was sent, even if Patroni requests a longer one. With the time that the kill
/// takes it must stay below Patroni's `ttl`, after which another server may be promoted.
pub const LIMIT: Duration = Duration::from_secs(Timings::STANDBYS.watchdog() as u64);
/// Time for the server to end by itself, before it is killed.
pub const GRACE: Duration = Duration::from_secs(1);
const _: () = assert!(GRACE.as_secs() < Timings::STANDBYS.kill() as u64, "no time is left for the kill");

/// Whether Patroni has to be seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Disarmed,
    Armed {
        /// When the last request was sent that has confirmed the lock.
        confirmed: BootTime,
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
    pub now: BootTime,
    /// What came since the previous one.
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
        let next = look.events.iter().fold(self, |machine, event| machine.learn(*event));
        match (next.phase, next.mode) {
            (Phase::Watching, Mode::Armed { confirmed, limit }) if look.now - confirmed >= limit => {
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

    /// What it knows of the lock after a look at that time.
    pub fn leadership(self, now: BootTime) -> Leadership {
        match (self.phase, self.mode) {
            (Phase::Fired { .. }, _) => Leadership::Fired,
            (Phase::Watching, Mode::Disarmed) => Leadership::Disarmed,
            (Phase::Watching, Mode::Armed { confirmed, limit }) if now - confirmed < limit => {
                Leadership::Confirmed
            }
            (Phase::Watching, Mode::Armed { .. }) => Leadership::Outdated,
        }
    }

    fn learn(self, event: Event) -> Self {
        let mode = match (event, self.mode) {
            (Event::Command(Command::Arm { asked, sent }), mode) => {
                Mode::Armed { confirmed: mode.confirmed_at_least(sent), limit: asked.min(LIMIT) }
            }
            (Event::Command(Command::KeepAlive(sent)), mode) => {
                let limit = if let Mode::Armed { limit, .. } = mode { limit } else { LIMIT };
                Mode::Armed { confirmed: mode.confirmed_at_least(sent), limit }
            }
            // The previous one has not laid its role down: its server may still be the primary.
            (Event::PatroniStarted, mode) if self.phase == Phase::Watching => mode,
            (Event::Command(Command::Disarm) | Event::PatroniStarted, _) => Mode::Disarmed,
        };
        let phase = match self.phase {
            Phase::Fired { at, seen } => Phase::Fired { at, seen: seen || event.is_after(at) },
            Phase::Watching => Phase::Watching,
        };
        Self { mode, phase }
    }
}

impl Mode {
    /// The later date. Two threads of Patroni may write, so that the older one comes last.
    fn confirmed_at_least(self, sent: BootTime) -> BootTime {
        match self {
            Self::Armed { confirmed, .. } => confirmed.max(sent),
            Self::Disarmed => sent,
        }
    }
}

impl Event {
    /// Whether it says that Patroni has run since then. A keepalive may have waited for this process to be continued.
    fn is_after(self, time: BootTime) -> bool {
        match self {
            Self::Command(Command::Arm { sent, .. } | Command::KeepAlive(sent)) => sent > time,
            Self::Command(Command::Disarm) | Self::PatroniStarted => true,
        }
    }
}
