//! Points of an upgrade at which the worker is killed.

use std::time::Duration;

use pgops_api::plan::Step;

use super::journal::{Event, Record};

/// A point of an upgrade.
#[derive(Clone, Copy, Debug)]
pub enum KillPoint {
    /// The journal contains this record.
    Record(Step, Event),
    /// This long after the journal contains this record.
    After(Step, Event, Duration),
    /// `pg_upgrade` has passed this many stages since the worker started.
    Stage(usize),
}

impl KillPoint {
    /// The journal record at or after which it is reached.
    pub(super) fn record(self) -> Record {
        match self {
            Self::Record(step, event) | Self::After(step, event, _) => Record { step, event },
            Self::Stage(_) => Record { step: Step::PgUpgraded, event: Event::Started },
        }
    }

    /// The delay after the record.
    pub(super) fn delay(self) -> Duration {
        match self {
            Self::After(_, _, delay) => delay,
            Self::Record(..) | Self::Stage(_) => Duration::ZERO,
        }
    }
}

impl std::fmt::Display for KillPoint {
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
    /// The process that executes the saga. PID 1 of its container survives.
    Runner,
    /// All processes of its container at once.
    Container,
    /// All processes of the container that runs programs on the volume. The runner ends its pod, and the Job creates another
    /// one.
    Programs,
}

/// One kill.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// When.
    pub at: KillPoint,
    /// What.
    pub of: Victim,
}
