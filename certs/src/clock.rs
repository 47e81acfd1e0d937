//! Two clocks: what certificates are dated by, and what cannot jump.

use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Where time comes from; tests bring their own.
#[derive(Clone)]
pub(crate) struct Clock {
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    steady: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Clock {
    /// The machine's.
    pub(crate) fn system() -> Self {
        Self::new(Timestamp::now, Instant::now)
    }

    pub(crate) fn new(
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
        steady: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), steady: Arc::new(steady) }
    }

    /// The date. It may be set, also backwards.
    pub(crate) fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    /// Never set; stands still while the machine sleeps, so it measures too little rather than too much.
    pub(crate) fn steady(&self) -> Instant {
        (self.steady)()
    }
}

/// How long API servers have been able to see one and the same thing, as far as this process saw it itself.
pub(crate) struct Settled<T>(Option<(T, Instant)>);

impl<T: PartialEq> Settled<T> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Whether the thing was to be seen in what was read by `at`, and for how long without a break.
    pub(crate) fn observe(&mut self, thing: T, is_seen: bool, at: Instant) -> SignedDuration {
        let since = match &self.0 {
            _ if !is_seen => {
                self.0 = None;
                return SignedDuration::ZERO;
            }
            Some((same, since)) if *same == thing => *since,
            _ => at,
        };
        self.0 = Some((thing, since));
        SignedDuration::try_from(at.saturating_duration_since(since)).unwrap_or(SignedDuration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_changes_or_vanishes_settles_anew() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut settled = Settled::new();
        let mut observe = |thing, is_seen, seconds| settled.observe(thing, is_seen, at(seconds)).as_secs();
        assert_eq!(observe("a", true, 0), 0);
        assert_eq!(observe("a", true, 5), 5);
        assert_eq!(observe("b", true, 6), 0);
        assert_eq!(observe("b", true, 9), 3);
        assert_eq!(observe("b", false, 10), 0);
        assert_eq!(observe("b", true, 12), 0);
        assert_eq!(observe("b", true, 13), 1);
    }
}
