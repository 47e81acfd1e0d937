//! The operations of `KubeDB`'s API, and which of them pgops executes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The operations of `KubeDB`'s API. pgops executes `UpdateVersion`, under both its names, and those of [`DayTwo`]; it ignores
/// the others.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names of KubeDB's operations are self-explanatory")]
pub enum RequestType {
    #[default]
    UpdateVersion,
    HorizontalScaling,
    VerticalScaling,
    VolumeExpansion,
    Restart,
    Reconfigure,
    ReconfigureTLS,
    RotateAuth,
    ReconnectStandby,
    ForceFailOver,
    SetRaftKeyPair,
    StorageMigration,
    /// Deprecated alias of `UpdateVersion`; its target is in `upgrade`. The mutating webhook replaces it.
    Upgrade,
}

/// The operations that change a running database without changing its version: the provisioner executes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DayTwo {
    /// Replaces the pod.
    Restart,
    /// Changes requests and limits of the server.
    VerticalScaling,
    /// Enlarges the volume.
    VolumeExpansion,
    /// Changes settings of the server.
    Reconfigure,
    /// Gives the superuser another password.
    RotateAuth,
}

impl RequestType {
    /// Whether pgops changes the version by it.
    #[must_use]
    pub fn updates_version(self) -> bool {
        matches!(self, Self::UpdateVersion | Self::Upgrade)
    }

    /// The day-two operation, if it is one that pgops executes.
    #[must_use]
    pub fn day_two(self) -> Option<DayTwo> {
        match self {
            Self::Restart => Some(DayTwo::Restart),
            Self::VerticalScaling => Some(DayTwo::VerticalScaling),
            Self::VolumeExpansion => Some(DayTwo::VolumeExpansion),
            Self::Reconfigure => Some(DayTwo::Reconfigure),
            Self::RotateAuth => Some(DayTwo::RotateAuth),
            Self::UpdateVersion
            | Self::Upgrade
            | Self::HorizontalScaling
            | Self::ReconfigureTLS
            | Self::ReconnectStandby
            | Self::ForceFailOver
            | Self::SetRaftKeyPair
            | Self::StorageMigration => None,
        }
    }

    /// Whether pgops executes it.
    #[must_use]
    pub fn is_executed(self) -> bool {
        self.updates_version() || self.day_two().is_some()
    }
}

impl std::fmt::Display for RequestType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

impl std::fmt::Display for DayTwo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}
