//! Where an upgrade is going, which decides how long a step waits.

use crate::cluster::IfBroken;

/// Where the upgrade is going.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To the new version; a failure leads back.
    Forward,
    /// To the new version, past the point of no return.
    ForwardOnly,
    /// To the old version.
    Back,
}

impl Direction {
    /// The direction of a step that is done.
    #[must_use]
    pub fn forward(is_committed: bool) -> Self {
        if is_committed { Self::ForwardOnly } else { Self::Forward }
    }

    /// What ends the wait for a pod that the kubelet reports as unable to start: where the database would stay down otherwise,
    /// a wait never ends before the kubelet has tried again.
    #[must_use]
    pub fn if_broken(self) -> IfBroken {
        match self {
            Self::Forward => IfBroken::Fail,
            Self::ForwardOnly | Self::Back => IfBroken::WaitForNextStart,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn direction_without_rollback_waits_for_the_next_start() {
        assert_eq!(Direction::forward(false).if_broken(), IfBroken::Fail);
        for direction in [Direction::forward(true), Direction::Back] {
            assert_eq!(direction.if_broken(), IfBroken::WaitForNextStart);
        }
    }
}
