//! How the leader changes for whom commits wait, and who may be promoted. The order is Patroni's.
//!
//! A standby is named in `synchronous_standby_names` first, and in `/sync` when it has caught up; it leaves in the other order. In the
//! mode `quorum`, a second one joins `/sync` first, since a commit may then be on that one alone.

use super::rules::{Mode, Removal, Rules};
use super::state::{Id, Members, Primary, Role, State};

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `synchronous_standby_names`.
    Names(Members),
    /// The voters of `/sync`.
    Voters(Members),
}

/// Calls `found` with each change that the leader may make now.
pub fn possible<const N: usize>(rules: Rules, state: &State<N>, mut found: impl FnMut(Change)) {
    let leader = state.holder;
    let Some(primary) = state.primary(leader) else { return };
    if rules.mode == Mode::Off || state.sync.leader != leader {
        return;
    }
    let voters = state.sync.voters;
    let followers =
        (0..).zip(&state.members).filter(|(_, it)| it.role == Role::Standby { follows: Some(leader) });
    let others = followers.map(|(id, _): (Id, _)| 1 << id).filter(|bit| (primary.names | voters) & bit == 0);
    match (primary.names.count_ones(), voters.count_ones()) {
        (0, _) => others.for_each(|it| found(Change::Names(it))),
        (1, 0) => {
            found(Change::Names(0));
            if primary.all_caught_up() {
                found(Change::Voters(primary.names));
            }
        }
        (1, 1) => {
            found(Change::Voters(0));
            if rules.mode == Mode::Quorum {
                others.for_each(|it| found(Change::Voters(voters | it)));
            }
        }
        (1, _) => {
            found(Change::Names(voters));
            if rules.removal == Removal::AtOnce || primary.all_caught_up() {
                found(Change::Voters(primary.names));
            }
        }
        (_, _) => one_of(primary.names, |it| found(Change::Names(it))),
    }
}

fn one_of(members: Members, found: impl FnMut(Members)) {
    (0..8).map(|id| 1 << id).filter(|bit| members & bit != 0).for_each(found);
}

/// Makes a change.
pub fn apply<const N: usize>(state: &mut State<N>, leader: Id, change: Change) {
    match change {
        Change::Names(names) => {
            let member = &mut state.members[usize::from(leader)];
            let writes = member.log.len();
            if let Role::Primary(Primary { names: current, writes_at_change, .. }) = &mut member.role {
                *current = names;
                *writes_at_change = writes;
            }
        }
        Change::Voters(voters) => {
            state.sync.voters = voters;
            state.sync.quorum = voters.count_ones().saturating_sub(1);
            // A candidate's own patch of the record names an older version now.
            state.members.iter_mut().for_each(|it| it.votes = None);
        }
    }
}
