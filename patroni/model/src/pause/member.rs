//! What happens to a member.

use super::rules::{self, Gate, Leader, Rules};
use super::state::{Id, Server, State, Watchdog};

/// One step of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Patroni sees that the pause was written, or lifted.
    SeePause,
    /// The lock that it holds expires.
    LoseLock,
    /// Patroni takes the lock for the primary that runs.
    AdoptServer,
    /// Patroni takes the lock and promotes.
    Promote,
    /// Patroni renews the lock and writes a keepalive.
    Keepalive,
    /// Patroni stops a primary that has no lock.
    Demote,
    /// The watchdog kills the server.
    Kill,
    /// The server crashes.
    Crash,
    /// Patroni starts the server, in recovery.
    Start,
}

/// Calls `found` with each step that is possible.
pub fn possible<const N: usize>(rules: Rules, state: &State<N>, id: Id, mut found: impl FnMut(Step)) {
    let member = state.member(id);
    let scope = state.scope_of(id);
    let primary = member.server == Server::Primary;
    if member.believes_paused != scope.paused {
        found(Step::SeePause);
    }
    if scope.holder == Some(id) && may_lose_lock(rules, state, id) {
        found(Step::LoseLock);
    }
    if scope.holder.is_none() && primary {
        found(Step::AdoptServer);
    }
    if scope.holder.is_none() && member.server == Server::Standby && !member.believes_paused {
        found(Step::Promote);
    }
    // Restarted in recovery as the holder.
    if scope.holder == Some(id) && member.server == Server::Standby && !member.believes_paused {
        found(Step::Promote);
    }
    if scope.holder == Some(id)
        && primary
        && member.watchdog == Watchdog::Off
        && writes_keepalives(rules, state, id)
    {
        found(Step::Keepalive);
    }
    if primary && !member.believes_paused && scope.holder != Some(id) {
        found(Step::Demote);
    }
    if primary && member.watchdog == Watchdog::Armed {
        found(Step::Kill);
    }
    if member.server != Server::Stopped {
        found(Step::Crash);
    }
    if member.server == Server::Stopped && !(rules.gate == Gate::Enforced && must_refuse(state, id)) {
        found(Step::Start);
    }
}

fn writes_keepalives<const N: usize>(rules: Rules, state: &State<N>, id: Id) -> bool {
    match rules.watchdog {
        rules::Watchdog::DisarmedByPatroni => !state.member(id).believes_paused,
        rules::Watchdog::SuspendedByRunner => true,
    }
}

/// A primary is killed before its lock expires if its watchdog is armed.
fn may_lose_lock<const N: usize>(rules: Rules, state: &State<N>, id: Id) -> bool {
    let member = state.member(id);
    let pause_is_certain = state.scope_of(id).paused && state.all_believe_paused(member.version);
    let renewed_in_time = rules.leader == Leader::KeepsTheLock && !pause_is_certain;
    !(member.server == Server::Primary && (member.watchdog == Watchdog::Armed || renewed_in_time))
}

/// Whether the gate has to refuse a start.
fn must_refuse<const N: usize>(state: &State<N>, id: Id) -> bool {
    state.target == id && state.stage.has_the_data()
}

/// Takes the step.
pub fn take<const N: usize>(rules: Rules, state: &mut State<N>, id: Id, step: Step) {
    let member = usize::from(id);
    match step {
        Step::SeePause => {
            let paused = state.scope_of(id).paused;
            let member = &mut state.members[member];
            member.believes_paused = paused;
            if paused && rules.watchdog == rules::Watchdog::DisarmedByPatroni {
                member.watchdog = Watchdog::Off;
            }
        }
        Step::LoseLock => state.scope_of_mut(id).holder = None,
        Step::AdoptServer => state.scope_of_mut(id).holder = Some(id),
        Step::Promote => {
            let version = state.member(id).version;
            state.promoted_while_paused |= state.scope_of(id).paused && state.all_believe_paused(version);
            state.scope_of_mut(id).holder = Some(id);
            state.members[member].server = Server::Primary;
            state.members[member].watchdog = Watchdog::Armed;
        }
        Step::Keepalive => state.members[member].watchdog = Watchdog::Armed,
        Step::Demote | Step::Kill | Step::Crash => {
            state.members[member].server = Server::Stopped;
            state.members[member].watchdog = Watchdog::Off;
        }
        Step::Start => {
            state.refused_start |= must_refuse(state, id);
            state.members[member].server = Server::Standby;
        }
    }
}
