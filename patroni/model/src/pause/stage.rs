//! The steps of the runner, in their order.

use super::rules::{Resume, Rules, Watchdog};

/// The step that the runner takes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Write the pause.
    Pause,
    /// Wait until the pause is believed, and see which server leads.
    AwaitPause,
    /// Suspend that member's watchdog.
    Suspend,
    /// Stop that server, freeze the database, and take the interlock.
    StopServer,
    /// Upgrade the data and name the new version active, then give the interlock back.
    Upgrade,
    /// Lift the pause too early.
    ResumeTooEarly,
    /// Start the server, out of recovery like before, and end the freeze.
    StartServer,
    /// Wait until it has the lock.
    AwaitLock,
    /// End the suspension of the watchdog.
    EndSuspension,
    /// Lift the pause.
    Resume,
    /// Move one standby to the new scope.
    MoveStandby,
    /// Nothing is left.
    Done,
}

impl Stage {
    /// Whether the runner has the data, so that no server may start on it.
    #[must_use]
    pub const fn has_the_data(self) -> bool {
        matches!(self, Self::Upgrade | Self::ResumeTooEarly | Self::StartServer)
    }

    /// What comes after it.
    #[must_use]
    pub const fn following(self, rules: Rules) -> Self {
        match self {
            Self::Pause => Self::AwaitPause,
            Self::AwaitPause => match rules.watchdog {
                Watchdog::SuspendedByRunner => Self::Suspend,
                Watchdog::DisarmedByPatroni => Self::StopServer,
            },
            Self::Suspend => Self::StopServer,
            Self::StopServer => Self::Upgrade,
            Self::Upgrade => match rules.resume {
                Resume::BeforeServer => Self::ResumeTooEarly,
                Resume::ServerLockResume => Self::StartServer,
            },
            Self::ResumeTooEarly => Self::StartServer,
            Self::StartServer => match rules.resume {
                Resume::BeforeServer => Self::MoveStandby,
                Resume::ServerLockResume => Self::AwaitLock,
            },
            Self::AwaitLock => match rules.watchdog {
                Watchdog::SuspendedByRunner => Self::EndSuspension,
                Watchdog::DisarmedByPatroni => Self::Resume,
            },
            Self::EndSuspension => Self::Resume,
            Self::Resume => Self::MoveStandby,
            Self::MoveStandby | Self::Done => Self::Done,
        }
    }
}
