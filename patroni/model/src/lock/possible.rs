//! Which steps are possible.

use super::rules::{Freezes, Gate, Pid1, Rules};
use super::state::{Id, Member, RequestKind, Server, State, View};
use super::step::Action;

/// All steps that are possible in a state.
pub fn steps<const N: usize>(rules: &Rules, state: &State<N>, actions: &mut Vec<Action>) {
    if may_tick(rules, state) {
        actions.push(Action::Tick);
    }
    for (id, member) in (0..).zip(&state.members) {
        of_request(state, id, member, actions);
        of_patroni(rules, state, id, member, actions);
        if member.server == Server::Primary && member.watchdog.is_some_and(|it| it >= rules.ticks.watchdog) {
            actions.push(Action::Kill(id));
        }
        if matches!(member.server, Server::Ending { .. }) {
            actions.push(Action::End(id));
        }
        if matches!(member.server, Server::Primary | Server::Standby | Server::Elected { .. }) {
            actions.push(Action::Stop(id));
        }
    }
}

/// Time passes unless something is due at this instant.
fn may_tick<const N: usize>(rules: &Rules, state: &State<N>) -> bool {
    state.members.iter().all(|member| {
        let kill_is_due = member.server == Server::Primary
            && member.watchdog.is_some_and(|it| it >= rules.ticks.watchdog)
            || matches!(member.server, Server::Ending { left: 0 });
        let round_is_due = matches!(member.server, Server::Elected { .. })
            || member.request.is_some_and(|it| it.age >= rules.ticks.renewal);
        !(kill_is_due && rules.pid1 == Pid1::Runs || round_is_due && rules.freezes == Freezes::BetweenRounds)
    })
}

fn of_request<const N: usize>(state: &State<N>, id: Id, member: &Member, actions: &mut Vec<Action>) {
    if member.late_take {
        actions.push(Action::ApplyLateTake(id));
    }
    if member.late_release {
        actions.push(Action::ApplyLateRelease(id));
    }
    let Some(request) = member.request else { return };
    actions.push(Action::GiveUp(id));
    match request.kind {
        RequestKind::Take | RequestKind::Release => actions.push(Action::Apply(id)),
        RequestKind::Taken => actions.push(Action::Confirm(id)),
        RequestKind::Failsafe { accepted } => {
            let missing = |other: Id| other != id && accepted >> other & 1 == 0;
            let others = (0..).zip(&state.members).filter(|(other, _)| missing(*other));
            if others.clone().next().is_none() {
                actions.push(Action::Confirm(id));
            }
            let accepting = others.filter(|(_, it)| it.server != Server::Primary);
            actions.extend(accepting.map(|(other, _)| Action::AcceptFailsafe(other, id)));
        }
    }
}

fn of_patroni<const N: usize>(
    rules: &Rules,
    state: &State<N>,
    id: Id,
    member: &Member,
    actions: &mut Vec<Action>,
) {
    if member.view == View::Outdated {
        actions.push(Action::SeeRecord(id));
    }
    if member.view != View::Outdated
        || member.request.is_some()
        || matches!(member.server, Server::Elected { .. })
    {
        actions.push(Action::RestartPatroni(id));
    }
    if matches!(member.server, Server::Elected { .. }) {
        actions.push(Action::Abandon(id));
    }
    if let Server::Elected { since } = member.server
        && (rules.promotion_gate == Gate::Absent || since < rules.ticks.watchdog)
    {
        actions.push(Action::Promote(id));
    }
    if member.server == Server::Stopped && !(member.lock_unseen && rules.start_gate == Gate::Enforced) {
        actions.push(Action::Start(id));
    }
    if member.request.is_some() {
        return;
    }
    if member.server == Server::Primary {
        actions.push(Action::SendFailsafe(id));
    }
    if may_take(rules, state, id, member) {
        actions.push(Action::SendTake(id));
    }
    let may_release = matches!(member.server, Server::Stopped | Server::Standby);
    if member.view != View::Outdated && state.holder == Some(id) && may_release {
        actions.push(Action::SendRelease(id));
    }
}

/// A patch that names an old resourceVersion is refused, so only a current view matters.
fn may_take<const N: usize>(rules: &Rules, state: &State<N>, id: Id, member: &Member) -> bool {
    let View::Current { since } = member.view else { return false };
    match state.holder {
        Some(holder) if holder == id => matches!(member.server, Server::Standby | Server::Primary),
        None => member.server == Server::Standby,
        Some(_) => member.server == Server::Standby && since >= rules.ticks.ttl,
    }
}
