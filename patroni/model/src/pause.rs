//! A pause, alone or around a major upgrade, which has a scope of its own for the new version.
//!
//! There is no time here. What [`crate::lock`] shows is taken for granted: the lock of a running primary does not expire while its watchdog
//! is armed, because the server is killed first.

mod member;
pub mod rules;
mod runner;
mod stage;
pub mod state;

use stateright::{Model, Property};

pub use self::member::Step as MemberStep;
use self::rules::Rules;
pub use self::stage::Stage;
use self::state::{Id, State};

/// Two servers take writes at once.
pub const ONE_PRIMARY: &str = "at most one server takes writes";
/// A standby became a primary although the database is paused.
pub const NO_PROMOTION: &str = "no server is promoted while the database is paused";
/// A server was started against the gate.
pub const NO_REFUSED_START: &str = "no server starts while the runner has the data";

/// A database of N servers.
#[derive(Clone, Debug)]
pub struct Pause<const N: usize> {
    /// What differs between the tests.
    pub rules: Rules,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The runner takes its next step.
    Runner(Stage),
    /// Something happens to a member.
    Member(Id, MemberStep),
}

impl<const N: usize> Model for Pause<N> {
    type State = State<N>;
    type Action = Action;

    fn init_states(&self) -> Vec<State<N>> {
        vec![State::initial()]
    }

    fn actions(&self, state: &State<N>, actions: &mut Vec<Action>) {
        if state.is_wrong() {
            return;
        }
        if let Some(step) = runner::next(self.rules, state) {
            actions.push(Action::Runner(step));
        }
        for id in (0..).take(N) {
            member::possible(self.rules, state, id, |step| actions.push(Action::Member(id, step)));
        }
    }

    fn next_state(&self, state: &State<N>, action: Action) -> Option<State<N>> {
        let mut next = state.clone();
        match action {
            Action::Runner(step) => runner::take(self.rules, &mut next, step),
            Action::Member(id, step) => member::take(self.rules, &mut next, id, step),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_PRIMARY, |_, state: &State<N>| state.primaries() <= 1),
            Property::always(NO_PROMOTION, |_, state: &State<N>| !state.promoted_while_paused),
            Property::always(NO_REFUSED_START, |_, state: &State<N>| !state.refused_start),
            Property::sometimes("the runner is done and a server leads", |_, state: &State<N>| {
                state.stage == Stage::Done && state.primaries() == 1
            }),
            Property::sometimes("another server leads afterwards", |_, state: &State<N>| {
                state.stage == Stage::Done
                    && (0..).zip(&state.members).any(|(id, it)| id != state.target && it.takes_writes())
            }),
        ]
    }
}
