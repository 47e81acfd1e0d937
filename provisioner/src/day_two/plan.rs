//! The stages of an operation, in order. Each is a condition of the request.

use std::fmt;

use pgops_api::PostgresOpsRequest;
use pgops_api::opsrequest::{DayTwo, ExpansionMode};

/// One stage of an operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The server is asked whether it accepts the new settings.
    CheckSettings,
    /// The Postgres gets the new settings.
    Reconfigure,
    /// The Postgres gets the new requests and limits.
    VerticalScale,
    /// The Postgres gets the new size, and the volume becomes as large.
    VolumeExpansion,
    /// The server reads the new settings while it runs.
    Reload,
    /// The pod is replaced.
    Restart,
    /// The server gets a new password.
    UpdatePassword,
    /// The Secret gets the password of the server.
    UpdateSecret,
}

/// The name of its condition.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The stages of a request. Those after the change of the spec may turn out to be unnecessary.
pub fn stages(request: &PostgresOpsRequest, operation: DayTwo) -> &'static [Stage] {
    match operation {
        DayTwo::Restart => &[Stage::Restart],
        DayTwo::RotateAuth => &[Stage::UpdatePassword, Stage::UpdateSecret],
        DayTwo::VerticalScaling => &[Stage::VerticalScale, Stage::Restart],
        DayTwo::VolumeExpansion => match request.spec.expansion_mode() {
            ExpansionMode::Online => &[Stage::VolumeExpansion],
            ExpansionMode::Offline => &[Stage::VolumeExpansion, Stage::Restart],
        },
        DayTwo::Reconfigure => {
            let change = request.spec.configuration.as_ref();
            let checks = change.is_some_and(|change| !change.apply_config.is_empty());
            if checks {
                &[Stage::CheckSettings, Stage::Reconfigure, Stage::Reload, Stage::Restart]
            } else {
                &[Stage::Reconfigure, Stage::Reload, Stage::Restart]
            }
        }
    }
}

/// The stage that fails if the next pod does not start: that of the change, which is then put back, if it can be.
pub fn blamed_stage(operation: DayTwo) -> Option<Stage> {
    change_stage(operation).filter(|_| operation != DayTwo::VolumeExpansion)
}

/// The stage in which the spec of the Postgres changes, if it does.
pub fn change_stage(operation: DayTwo) -> Option<Stage> {
    match operation {
        DayTwo::Restart | DayTwo::RotateAuth => None,
        DayTwo::VerticalScaling => Some(Stage::VerticalScale),
        DayTwo::VolumeExpansion => Some(Stage::VolumeExpansion),
        DayTwo::Reconfigure => Some(Stage::Reconfigure),
    }
}
