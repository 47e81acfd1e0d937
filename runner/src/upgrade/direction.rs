//! Where an upgrade is going, which decides how long a step waits.

use crate::cluster::IfBroken;

/// Where the upgrade is going.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// To the new version; a failure is followed by a rollback.
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

    /// What ends the wait for a pod that the kubelet reports as unable to start, by how many attempts are left after this one.
    /// Where the database stays down after the last one, that does not end before the kubelet has tried again.
    #[must_use]
    pub fn if_broken(self, attempts_left: u32) -> IfBroken {
        match (self, attempts_left) {
            (Self::ForwardOnly | Self::Back, 0) => IfBroken::WaitForNextStart,
            _ => IfBroken::Fail,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_attempt_without_rollback_waits_for_the_next_start() {
        for direction in [Direction::forward(true), Direction::Back] {
            assert_eq!(direction.if_broken(0), IfBroken::WaitForNextStart);
            assert_eq!(direction.if_broken(1), IfBroken::Fail);
        }
        assert_eq!(Direction::forward(false).if_broken(0), IfBroken::Fail);
    }
}
