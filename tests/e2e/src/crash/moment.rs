//! Moments of an upgrade, and what is killed then.

use std::time::Duration;

use pgops_api::plan::Step;

use super::{Entry, Mark};

/// A moment of an upgrade.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// The journal has this record.
    Record(Step, Mark),
    /// So long after the journal has this record.
    After(Step, Mark, Duration),
    /// `pg_upgrade` has passed so many stages since the worker began.
    Stage(usize),
}

impl Moment {
    /// The record that it comes with or after.
    pub(super) fn record(self) -> Entry {
        match self {
            Self::Record(step, mark) | Self::After(step, mark, _) => Entry { step, mark },
            Self::Stage(_) => Entry { step: Step::PgUpgraded, mark: Mark::Started },
        }
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Record(..) => write!(f, "{}", self.record()),
            Self::After(.., delay) => write!(f, "{} + {delay:?}", self.record()),
            Self::Stage(number) => write!(f, "stage {number} of pg_upgrade"),
        }
    }
}

/// What is killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Victim {
    /// The process that executes the saga. PID 1 of its container lives.
    Runner,
    /// All processes of its container at once.
    Container,
}

/// One kill.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// When.
    pub at: Moment,
    /// What.
    pub of: Victim,
}
