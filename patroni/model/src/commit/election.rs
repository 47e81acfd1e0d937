//! The lock without its time, votes and promotion.

use super::rules::{Mode, Rules, Votes};
use super::state::{FIRST_PROMOTION, Id, Member, Primary, Role, State, SyncRecord};

/// One step of an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The holder no longer renews the lock in time.
    Expire,
    /// The holder renews it after all.
    Renew,
    /// A standby stands for election, and follows none from then on.
    Stand(Id),
    /// The first is not ahead of the second, and votes for it.
    Vote(Id, Id),
    /// A standby takes the lock, rewrites `/sync`, and is promoted.
    Promote(Id),
}

/// Calls `found` with each step that is possible now.
pub fn possible<const N: usize>(rules: Rules, state: &State<N>, mut found: impl FnMut(Step)) {
    if !state.expired {
        found(Step::Expire);
        return;
    }
    if state.primary(state.holder).is_some() {
        found(Step::Renew);
    }
    for (id, member) in (0..).zip(&state.members) {
        if !matches!(member.role, Role::Standby { .. }) {
            continue;
        }
        let Some(votes) = member.votes else {
            found(Step::Stand(id));
            continue;
        };
        let voting = (0..).zip(&state.members).filter(|(other, _)| *other != id && votes >> other & 1 == 0);
        let agreeing = voting
            .filter(|(_, it)| matches!(it.role, Role::Standby { .. }) && position(it) <= position(member));
        agreeing.for_each(|(other, _)| found(Step::Vote(other, id)));
        if elected(rules, &state.sync, id, votes) {
            found(Step::Promote(id));
        }
    }
}

/// The timeline of what a member has, and how much that is.
fn position(member: &Member) -> (Option<u8>, usize) {
    let promotions = member.log.iter().copied().filter(|it| *it >= FIRST_PROMOTION);
    (promotions.max(), member.log.len())
}

/// Whether a member may be promoted with these votes.
fn elected(rules: Rules, sync: &SyncRecord, id: Id, votes: u8) -> bool {
    let can_vote = sync.voters >> id & 1 == 1;
    match rules.mode {
        Mode::Off => true,
        Mode::On => can_vote || sync.leader == id,
        // The leader's own writes are never missing on the leader.
        Mode::Quorum if sync.leader == id => true,
        Mode::Quorum if sync.voters == 0 => false,
        Mode::Quorum => (votes & sync.voters).count_ones() >= sync.quorum + u32::from(!can_vote),
    }
}

/// Takes a step.
pub fn apply<const N: usize>(rules: Rules, state: &mut State<N>, step: Step) {
    match step {
        Step::Expire => state.expired = true,
        Step::Renew => {
            state.expired = false;
            // A candidate's patch of the lock names an older version now.
            state.members.iter_mut().for_each(|it| it.votes = None);
        }
        Step::Stand(id) => {
            let member = &mut state.members[usize::from(id)];
            member.role = Role::Standby { follows: None };
            member.votes = Some(0);
        }
        Step::Vote(voter, candidate) => {
            if let Some(votes) = &mut state.members[usize::from(candidate)].votes {
                *votes |= 1 << voter;
            }
            if rules.votes == Votes::AfterDropping {
                state.members[usize::from(voter)].role = Role::Standby { follows: None };
            }
        }
        Step::Promote(id) => {
            state.holder = id;
            state.expired = false;
            state.sync = SyncRecord { leader: id, voters: 0, quorum: 0 };
            state.promotions += 1;
            let record = FIRST_PROMOTION + state.promotions;
            state.members.iter_mut().for_each(|it| it.votes = None);
            let member = &mut state.members[usize::from(id)];
            member.role = Role::Primary(Primary::alone(N));
            member.log.push(record);
        }
    }
}
