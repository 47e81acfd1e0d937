//! Which server has which write, and who may be promoted.
//!
//! There is no time here: the lock may expire at any moment, while the old primary still runs and its Patroni is frozen. So what holds
//! here does not depend on the watchdog.

mod election;
mod leader;
pub mod rules;
pub mod state;

use stateright::{Model, Property};

pub use self::election::Step as ElectionStep;
pub use self::leader::Change;
use self::rules::Rules;
use self::state::{Id, Role, State};

/// The server that has the lock lacks a write that a client was told is safe.
pub const NO_WRITE_LOST: &str = "the primary has every acknowledged write";

/// A database of N servers.
#[derive(Clone, Debug)]
pub struct Commit<const N: usize> {
    /// What differs between the tests.
    pub rules: Rules,
}

/// One step. Steps of a member name it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A client writes to a primary.
    Write(Id),
    /// A standby receives and flushes one write from the server that it follows.
    Stream(Id),
    /// A primary tells its client that this write is safe.
    Acknowledge(Id, u8),
    /// A server crashes, or is stopped, and starts in recovery, following none.
    Restart(Id),
    /// A standby follows the holder of the lock, after a rewind if needed.
    Follow(Id),
    /// The leader changes `/sync` or `synchronous_standby_names`.
    Configure(Id, Change),
    /// The lock, an election, a promotion.
    Elect(ElectionStep),
}

impl<const N: usize> Model for Commit<N> {
    type State = State<N>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<N>> {
        vec![State::initial()]
    }

    fn actions(&self, state: &State<N>, actions: &mut Vec<Action>) {
        // What follows a loss is not visited.
        if !state.leader_has_all_acknowledged() {
            return;
        }
        for (id, member) in (0..).zip(&state.members) {
            if let Role::Primary(primary) = &member.role {
                if state.writes < self.rules.writes {
                    actions.push(Action::Write(id));
                }
                let missing = |it: &u8| *it < state.writes && state.acknowledged >> it & 1 == 0;
                let safe = member.log[..primary.acknowledgeable(member.log.len())].iter().copied();
                actions.extend(safe.filter(missing).map(|write| Action::Acknowledge(id, write)));
            }
            if state.next_from_leader(id).is_some() {
                actions.push(Action::Stream(id));
            }
            if state.may_follow(id) {
                actions.push(Action::Follow(id));
            }
            if member.role != (Role::Standby { follows: None }) {
                actions.push(Action::Restart(id));
            }
        }
        leader::possible(self.rules, state, |change| actions.push(Action::Configure(state.holder, change)));
        election::possible(self.rules, state, |step| actions.push(Action::Elect(step)));
    }

    fn next_state(&self, state: &State<N>, action: Action) -> Option<State<N>> {
        let mut next = state.clone();
        match action {
            Action::Write(id) => next.write(id),
            Action::Stream(id) => next.stream(id),
            Action::Acknowledge(_, write) => next.acknowledged |= 1 << write,
            Action::Restart(id) => {
                let member = &mut next.members[usize::from(id)];
                member.role = Role::Standby { follows: None };
                member.votes = None;
            }
            Action::Follow(id) => next.follow(id),
            Action::Configure(id, change) => leader::apply(&mut next, id, change),
            Action::Elect(step) => election::apply(self.rules, &mut next, step),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_WRITE_LOST, |_, state: &State<N>| state.leader_has_all_acknowledged()),
            Property::sometimes(
                "a write is acknowledged after a failover",
                |model: &Self, state: &State<N>| {
                    state.promotions > 0
                        && state.writes == model.rules.writes
                        && state.acknowledged.count_ones() == u32::from(state.writes)
                },
            ),
        ]
    }

    fn within_boundary(&self, state: &State<N>) -> bool {
        state.promotions <= self.rules.promotions
    }
}
