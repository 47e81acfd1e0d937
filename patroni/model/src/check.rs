//! Runs a model and reports what was found.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, HasDiscoveries, Model};

/// What checking a model has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How many different states were visited.
    pub states: usize,
    /// The properties that do not hold, each with steps to where it does not.
    pub counterexamples: Vec<(&'static str, Vec<String>)>,
    /// What should be possible and is not.
    pub unreachable: Vec<&'static str>,
}

impl Outcome {
    /// The steps to where a property does not hold.
    #[must_use]
    pub fn counterexample(&self, property: &str) -> Option<&[String]> {
        self.counterexamples.iter().find(|(name, _)| *name == property).map(|(_, steps)| steps.as_slice())
    }

    /// Whether everything holds, and all that should be possible is.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counterexamples.is_empty() && self.unreachable.is_empty()
    }
}

/// Visits every state.
#[must_use]
pub fn all<M>(model: M) -> Outcome
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    outcome(&model.checker().spawn_bfs().join())
}

/// Visits states, those nearest to the initial one first, until this property is found not to hold.
#[must_use]
pub fn until_violated<M>(model: M, property: &'static str) -> Outcome
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let finish = HasDiscoveries::AnyOf([property].into());
    outcome(&model.checker().finish_when(finish).spawn_bfs().join())
}

fn outcome<M>(checker: &impl Checker<M>) -> Outcome
where
    M: Model,
    M::State: Clone + Debug + Hash + PartialEq,
    M::Action: Clone + Debug + PartialEq,
{
    let discoveries = checker.discoveries();
    let properties = checker.model().properties();
    let (failures, examples): (Vec<_>, Vec<_>) =
        properties.iter().partition(|it| it.expectation.discovery_is_failure());
    let counterexamples = failures.iter().filter_map(|it| {
        let path = discoveries.get(it.name)?.clone();
        let steps = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        Some((it.name, steps))
    });
    Outcome {
        states: checker.unique_state_count(),
        counterexamples: counterexamples.collect(),
        unreachable: examples.iter().map(|it| it.name).filter(|it| !discoveries.contains_key(it)).collect(),
    }
}
