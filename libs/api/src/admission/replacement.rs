//! Whether a day-two operation replaces the pod, and with it the data of a database without a volume.

use crate::PostgresOpsRequest;
use crate::opsrequest::{DayTwo, RestartMode};

/// Whether a request replaces the pod.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Replacement {
    Always,
    /// If a setting takes effect only then.
    IfNeeded,
    Never,
}

/// Whether this request does.
pub(super) fn replacement(request: &PostgresOpsRequest, operation: DayTwo) -> Replacement {
    match operation {
        DayTwo::Restart | DayTwo::VerticalScaling => Replacement::Always,
        DayTwo::VolumeExpansion | DayTwo::RotateAuth => Replacement::Never,
        DayTwo::Reconfigure => match request.spec.restart_mode() {
            RestartMode::Auto => Replacement::IfNeeded,
            RestartMode::True => Replacement::Always,
            RestartMode::False => Replacement::Never,
        },
    }
}
