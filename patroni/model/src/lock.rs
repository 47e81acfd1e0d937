//! The lock in the API server, the watchdog, and the time that both count.
//!
//! Time is discrete: [`Action::Tick`] passes one unit everywhere. A fault is a step that does not come: a frozen Patroni takes none, a
//! partition delivers none, a slow API server applies a request late or never. PID 1 alone must act in time, so time cannot pass while
//! a kill is due.

mod possible;
pub mod rules;
pub mod state;
mod step;
mod symmetry;

use stateright::{Model, Property};

use self::rules::Rules;
use self::state::{Server, State};
pub use self::step::Action;

/// Two servers take writes at once.
pub const ONE_PRIMARY: &str = "at most one server takes writes";
/// A server was started against the gate.
pub const NO_REFUSED_START: &str = "no server starts before the lock is seen again";

/// A database of N servers.
#[derive(Clone, Debug)]
pub struct Lock<const N: usize> {
    /// What differs between the tests.
    pub rules: Rules,
    /// Whether steps keep the numbers of members.
    pub numbers: Numbers,
}

/// Members differ in nothing but their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Each member keeps its number, so that a counterexample can be read.
    Kept,
    /// Of all states that differ only in the numbers, one is visited.
    Forgotten,
}

impl<const N: usize> Model for Lock<N> {
    type State = State<N>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<N>> {
        vec![State::initial()]
    }

    fn actions(&self, state: &State<N>, actions: &mut Vec<Action>) {
        if !state.is_wrong() {
            possible::steps(&self.rules, state, actions);
        }
    }

    fn next_state(&self, state: &State<N>, action: Action) -> Option<State<N>> {
        let mut next = state.clone();
        step::take(&self.rules, &mut next, action);
        Some(match self.numbers {
            Numbers::Kept => next,
            Numbers::Forgotten => symmetry::representative(&next),
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_PRIMARY, |_, state: &State<N>| state.primaries() <= 1),
            Property::always(NO_REFUSED_START, |_, state: &State<N>| !state.refused_start),
            Property::sometimes("a server leads", |_, state: &State<N>| state.primaries() == 1),
            Property::sometimes(
                "a server leads and another one, which led, is down",
                |_, state: &State<N>| {
                    state.primaries() == 1
                        && state.members.iter().any(|it| it.lock_unseen && it.server == Server::Stopped)
                },
            ),
        ]
    }
}
