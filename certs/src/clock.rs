//! Two clocks: the wall clock that dates certificates, and a monotonic one.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Source of time; tests inject their own.
#[derive(Clone)]
pub(crate) struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    monotonic: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Clock {
    /// The clocks of this machine.
    pub(crate) fn system() -> Self {
        Self::new(Timestamp::now, Instant::now)
    }

    pub(crate) fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        monotonic: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), monotonic: Arc::new(monotonic) }
    }

    /// The date. It may be set, also backwards.
    pub(crate) fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// Never set. It stops while the machine sleeps, so it measures too little rather than too much.
    pub(crate) fn monotonic(&self) -> Instant {
        (self.monotonic)()
    }
}

/// For how long a value has been visible to API servers without interruption, as observed by this process.
pub(crate) struct VisibleSince<T>(Option<(T, Instant)>);

impl<T: PartialEq> VisibleSince<T> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Records whether the value was visible in what was read by `at`; returns for how long it has been.
    pub(crate) fn observe(&mut self, value: T, is_visible: bool, at: Instant) -> SignedDuration {
        if !is_visible {
            self.0 = None;
            return SignedDuration::ZERO;
        }
        let since = match &self.0 {
            Some((previous, since)) if *previous == value => *since,
            _ => at,
        };
        self.0 = Some((value, since));
        SignedDuration::try_from(at.saturating_duration_since(since)).unwrap_or(SignedDuration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn visible_time_restarts_when_the_value_changes_or_disappears() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut visible = VisibleSince::new();
        let mut observe =
            |value, is_visible, seconds| visible.observe(value, is_visible, at(seconds)).as_secs();
        assert_eq!(observe("a", true, 0), 0);
        assert_eq!(observe("a", true, 5), 5);
        assert_eq!(observe("b", true, 6), 0);
        assert_eq!(observe("b", true, 9), 3);
        assert_eq!(observe("b", false, 10), 0);
        assert_eq!(observe("b", true, 12), 0);
        assert_eq!(observe("b", true, 13), 1);
    }
}
