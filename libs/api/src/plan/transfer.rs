//! How user data is transferred from the old cluster to the new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How user data is transferred from the old cluster to the new one.
///
/// `pg_upgrade --swap` is not supported: it moves the old files one after the other, and a kill in between
/// would leave neither cluster intact.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMode {
    /// Every file is copied; the old data stays intact.
    Copy,
    /// Every file is copied by the kernel, which may share blocks or offload the copy to the storage; the old
    /// data stays intact.
    CopyFileRange,
    /// Files share blocks (reflink); the old data stays intact.
    Clone,
    /// Files are hard links; the old data is unusable from the first start of the new server on.
    Link,
}

/// How long intact old data is kept by default.
const DEFAULT_RETENTION: Duration = Duration::from_hours(24);

impl TransferMode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Copy, Self::CopyFileRange, Self::Clone, Self::Link];

    /// Parses the annotation's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == text)
    }

    /// The option of `pg_upgrade` without dashes, which is also the annotation's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::CopyFileRange => "copy-file-range",
            Self::Clone => "clone",
            Self::Link => "link",
        }
    }

    /// The first major version whose `pg_upgrade` supports the mode.
    #[must_use]
    pub fn since(self) -> u32 {
        match self {
            Self::Copy | Self::Link => 10,
            Self::Clone => 12,
            Self::CopyFileRange => 17,
        }
    }

    /// Whether the old data stays intact whatever the new server does, until it is deleted.
    #[must_use]
    pub fn preserves_old_data(self) -> bool {
        self != Self::Link
    }

    /// Whether the copy may take the space and the time of all data.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Copy | Self::CopyFileRange)
    }

    /// How long the old data is kept after the upgrade: as requested, or a day; not at all if it is unusable.
    #[must_use]
    pub fn old_data_retention(self, requested: Option<Duration>) -> Duration {
        if self.preserves_old_data() { requested.unwrap_or(DEFAULT_RETENTION) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_mode_values_are_those_of_the_plan() {
        for mode in TransferMode::ALL {
            assert_eq!(TransferMode::parse(mode.name()), Some(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), serde_json::json!(mode.name()));
        }
        assert_eq!(TransferMode::parse("swap"), None);
    }

    #[test]
    fn old_data_is_kept_for_a_day_unless_unusable() {
        let hour = Duration::from_hours(1);
        assert_eq!(TransferMode::Copy.old_data_retention(None), Duration::from_hours(24));
        assert_eq!(TransferMode::Clone.old_data_retention(Some(hour)), hour);
        assert_eq!(TransferMode::Clone.old_data_retention(Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(TransferMode::Link.old_data_retention(Some(hour)), Duration::ZERO);
    }
}
