//! How user data gets from the old cluster to the new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How user data gets from the old cluster to the new one.
///
/// `pg_upgrade --swap` is left out: it moves the old files away as it goes, and a kill while it does would leave
/// neither cluster whole.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransferMode {
    /// Every file is copied; the old data stays whole.
    Copy,
    /// Every file is copied by the kernel, which may share blocks or leave the work to the storage; the old data
    /// stays whole.
    CopyFileRange,
    /// Files share blocks (reflink); the old data stays whole.
    Clone,
    /// Files are hard links; the old data is lost at the first start of the new server.
    Link,
}

/// How long whole old data is kept where nobody said.
const KEPT: Duration = Duration::from_hours(24);

impl TransferMode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Copy, Self::CopyFileRange, Self::Clone, Self::Link];

    /// Reads the annotation's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == text)
    }

    /// The option of `pg_upgrade`, without dashes; also the annotation's value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::CopyFileRange => "copy-file-range",
            Self::Clone => "clone",
            Self::Link => "link",
        }
    }

    /// The first major version whose `pg_upgrade` has it.
    #[must_use]
    pub fn since(self) -> u32 {
        match self {
            Self::Copy | Self::Link => 10,
            Self::Clone => 12,
            Self::CopyFileRange => 17,
        }
    }

    /// Whether the old data is whole for as long as it is there, whatever the new server has done.
    #[must_use]
    pub fn preserves_old_data(self) -> bool {
        self != Self::Link
    }

    /// Whether the data may need its room, and its time, once more.
    #[must_use]
    pub fn copies(self) -> bool {
        matches!(self, Self::Copy | Self::CopyFileRange)
    }

    /// How long the old data is kept once the upgrade is done: as the user said, or a day. Not at all where it is
    /// of no use any more.
    #[must_use]
    pub fn old_data_retention(self, asked: Option<Duration>) -> Duration {
        if self.preserves_old_data() { asked.unwrap_or(KEPT) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_annotation_are_those_of_the_plan() {
        for mode in TransferMode::ALL {
            assert_eq!(TransferMode::parse(mode.name()), Some(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), serde_json::json!(mode.name()));
        }
        assert_eq!(TransferMode::parse("swap"), None);
    }

    #[test]
    fn old_data_is_kept_for_a_day_unless_it_is_of_no_use() {
        let hour = Duration::from_hours(1);
        assert_eq!(TransferMode::Copy.old_data_retention(None), Duration::from_hours(24));
        assert_eq!(TransferMode::Clone.old_data_retention(Some(hour)), hour);
        assert_eq!(TransferMode::Clone.old_data_retention(Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(TransferMode::Link.old_data_retention(Some(hour)), Duration::ZERO);
    }
}
