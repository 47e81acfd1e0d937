//! What the runner waits for, and what it does.

use super::rules::{Belief, Rules, Watchdog, Work};
use super::stage::Stage;
use super::state::{self, Server, State, Version};

/// What the runner can do now. It waits where a condition is missing.
pub fn next<const N: usize>(rules: Rules, state: &State<N>) -> Option<Stage> {
    let target = state.member(state.target);
    let has_lock =
        target.server == Server::Primary && state.scope_of(state.target).holder == Some(state.target);
    let ready = match state.stage {
        Stage::AwaitPause => {
            leader(state).is_some()
                && (rules.belief == Belief::AsWritten || state.all_believe_paused(Version::Old))
        }
        Stage::AwaitLock => has_lock,
        Stage::EndSuspension => has_lock && target.watchdog == state::Watchdog::Suspended,
        Stage::Resume => {
            has_lock
                && (rules.watchdog == Watchdog::DisarmedByPatroni
                    || target.watchdog == state::Watchdog::Armed)
        }
        Stage::Done => false,
        _ => true,
    };
    ready.then_some(state.stage)
}

fn leader<const N: usize>(state: &State<N>) -> Option<u8> {
    state.scopes[Version::Old as usize].holder.filter(|it| state.member(*it).takes_writes())
}

/// Takes the step.
pub fn take<const N: usize>(rules: Rules, state: &mut State<N>, current: Stage) {
    let target = usize::from(state.target);
    match current {
        Stage::Pause => state.scopes[Version::Old as usize].paused = true,
        Stage::AwaitPause => state.target = leader(state).unwrap_or(state.target),
        Stage::Suspend => state.members[target].watchdog = state::Watchdog::Suspended,
        Stage::StopServer => {
            state.members[target].server = Server::Stopped;
            state.members[target].watchdog = state::Watchdog::Off;
        }
        Stage::Upgrade if rules.work == Work::MajorUpgrade => {
            state.scopes[Version::New as usize].paused = true;
            state.members[target].version = Version::New;
        }
        Stage::ResumeTooEarly | Stage::Resume => state.scope_of_mut(state.target).paused = false,
        Stage::StartServer => {
            state.members[target].server = Server::Primary;
            state.members[target].watchdog = match rules.watchdog {
                Watchdog::DisarmedByPatroni => state::Watchdog::Off,
                Watchdog::SuspendedByRunner => state::Watchdog::Suspended,
            };
        }
        Stage::EndSuspension => state.members[target].watchdog = state::Watchdog::Armed,
        Stage::MoveStandby if rules.work == Work::MajorUpgrade => {
            if let Some(standby) = state.members.iter_mut().find(|it| it.version == Version::Old) {
                standby.version = Version::New;
                standby.server = Server::Standby;
                standby.watchdog = state::Watchdog::Off;
                return;
            }
        }
        Stage::AwaitLock | Stage::Upgrade | Stage::MoveStandby | Stage::Done => {}
    }
    state.stage = current.following(rules);
}
