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
            // Only the next pod has another Secret.
            RestartMode::Auto if names_secret(request) => Replacement::Always,
            RestartMode::Auto => Replacement::IfNeeded,
            RestartMode::True => Replacement::Always,
            RestartMode::False => Replacement::Never,
        },
    }
}

fn names_secret(request: &PostgresOpsRequest) -> bool {
    request.spec.configuration.as_ref().is_some_and(|change| change.config_secret.is_some())
}
