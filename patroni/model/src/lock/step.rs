//! What each step does.

use super::rules::{Rules, Watchdog};
use super::state::{Id, Member, Request, RequestKind, Server, State, View};

/// One step. Steps of a member name it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// One unit of time passes.
    Tick,
    /// Patroni reads the record, or is told of a change.
    SeeRecord(Id),
    /// Patroni sends a patch that makes it the holder: a renewal, or a takeover.
    SendTake(Id),
    /// Patroni, its server not being a primary, sends a patch that frees the lock.
    SendRelease(Id),
    /// Patroni, whose server is a primary, asks all others whether it may lead without the API server.
    SendFailsafe(Id),
    /// The other member accepts that.
    AcceptFailsafe(Id, Id),
    /// The API server applies the request.
    Apply(Id),
    /// The API server applies a take that Patroni no longer waits for.
    ApplyLateTake(Id),
    /// The same with a release.
    ApplyLateRelease(Id),
    /// Patroni reads that its request succeeded, and writes a keepalive.
    Confirm(Id),
    /// The time limit of the request passes for Patroni, or its connection breaks.
    GiveUp(Id),
    /// Patroni promotes the server.
    Promote(Id),
    /// Patroni does not promote after all.
    Abandon(Id),
    /// The server crashes, or Patroni stops it.
    Stop(Id),
    /// Patroni ends, and PID 1 starts it again.
    RestartPatroni(Id),
    /// Patroni starts the server, in recovery.
    Start(Id),
    /// The watchdog starts to kill.
    Kill(Id),
    /// The killed server has ended.
    End(Id),
}

/// Changes the state by one step.
pub fn take<const N: usize>(rules: &Rules, state: &mut State<N>, action: Action) {
    match action {
        Action::Tick => tick(rules, state),
        Action::AcceptFailsafe(other, leader) => accept_failsafe(state, other, leader),
        Action::ApplyLateTake(id) => state.write_record(Some(id)),
        Action::ApplyLateRelease(_) => state.write_record(None),
        Action::Apply(id) => apply(state, id),
        Action::SeeRecord(id)
        | Action::SendTake(id)
        | Action::SendRelease(id)
        | Action::SendFailsafe(id)
        | Action::Confirm(id)
        | Action::GiveUp(id)
        | Action::Promote(id)
        | Action::Abandon(id)
        | Action::Stop(id)
        | Action::RestartPatroni(id)
        | Action::Start(id)
        | Action::Kill(id)
        | Action::End(id) => {
            let member = &mut state.members[usize::from(id)];
            state.refused_start |= action == Action::Start(id) && member.lock_unseen;
            alone(rules, member, action);
        }
    }
}

/// A step that changes one member only.
fn alone(rules: &Rules, member: &mut Member, action: Action) {
    let send = |kind| Some(Request { kind, age: 0 });
    match action {
        Action::SeeRecord(_) => {
            member.view = View::Current { since: 0 };
            member.lock_unseen = false;
        }
        Action::SendTake(_) => member.request = send(RequestKind::Take),
        Action::SendRelease(_) => member.request = send(RequestKind::Release),
        Action::SendFailsafe(_) => member.request = send(RequestKind::Failsafe { accepted: 0 }),
        Action::Confirm(_) => confirm(rules, member),
        Action::GiveUp(_) => give_up(member),
        Action::Promote(_) => {
            let Server::Elected { since } = member.server else { return };
            member.server = Server::Primary;
            member.watchdog = fed(rules, None, since);
        }
        Action::Stop(_) | Action::End(_) => {
            member.server = Server::Stopped;
            member.watchdog = None;
        }
        Action::RestartPatroni(_) => {
            give_up(member);
            member.view = View::Outdated;
            if matches!(member.server, Server::Elected { .. }) {
                member.server = Server::Standby;
            }
        }
        Action::Abandon(_) | Action::Start(_) => member.server = Server::Standby,
        Action::Kill(_) => {
            member.server = Server::Ending { left: rules.ticks.kill };
            member.watchdog = None;
            member.lock_unseen = true;
        }
        _ => {}
    }
}

fn tick<const N: usize>(rules: &Rules, state: &mut State<N>) {
    let holder = state.holder;
    for (id, member) in (0..).zip(&mut state.members) {
        if let View::Current { since } = &mut member.view
            && holder.is_some_and(|it| it != id)
        {
            *since = rules.ticks.ttl.min(*since + 1);
        }
        if let Some(request) = &mut member.request {
            request.age = rules.oldest_request().min(request.age + 1);
        }
        member.watchdog = member.watchdog.map(|it| rules.ticks.watchdog.min(it + 1));
        match &mut member.server {
            Server::Elected { since } => *since = rules.oldest_request().min(*since + 1),
            Server::Ending { left } => *left = left.saturating_sub(1),
            Server::Stopped | Server::Standby | Server::Primary => {}
        }
    }
}

/// The member that accepts counts the ttl from then on: it knows of the leader.
fn accept_failsafe<const N: usize>(state: &mut State<N>, other: Id, leader: Id) {
    if let Some(request) = &mut state.members[usize::from(leader)].request
        && let RequestKind::Failsafe { accepted } = &mut request.kind
    {
        *accepted |= 1 << other;
    }
    if let View::Current { since } = &mut state.members[usize::from(other)].view {
        *since = 0;
    }
}

fn apply<const N: usize>(state: &mut State<N>, id: Id) {
    let Some(request) = state.members[usize::from(id)].request else { return };
    match request.kind {
        RequestKind::Take => {
            state.write_record(Some(id));
            let taken = Request { kind: RequestKind::Taken, age: request.age };
            state.members[usize::from(id)].request = Some(taken);
        }
        RequestKind::Release => state.write_record(None),
        RequestKind::Taken | RequestKind::Failsafe { .. } => {}
    }
}

fn confirm(rules: &Rules, member: &mut Member) {
    let Some(request) = member.request.take() else { return };
    if member.server == Server::Primary {
        member.watchdog = fed(rules, member.watchdog, request.age);
    }
    if member.server == Server::Standby && request.kind == RequestKind::Taken {
        member.server = Server::Elected { since: request.age };
    }
}

/// What the watchdog counts after a keepalive for a request of this age.
fn fed(rules: &Rules, counted: Option<u8>, age: u8) -> Option<u8> {
    match rules.watchdog {
        Watchdog::Absent => None,
        Watchdog::FromConfirmation => Some(0),
        Watchdog::FromRequest => Some(counted.map_or(age, |it| it.min(age))),
    }
}

fn give_up(member: &mut Member) {
    match member.request.take().map(|it| it.kind) {
        Some(RequestKind::Take) => member.late_take = true,
        Some(RequestKind::Release) => member.late_release = true,
        Some(RequestKind::Taken | RequestKind::Failsafe { .. }) | None => {}
    }
}
