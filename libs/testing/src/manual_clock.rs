//! The time, which only the test advances.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A wall clock and a monotonic clock that agree. Clones show the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    start: Timestamp,
    origin: Instant,
    seconds: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that stands at this date.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { start, origin: Instant::now(), seconds: Arc::new(AtomicI64::new(0)) }
    }

    /// Advances the clock by some seconds.
    pub fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// The seconds since the start.
    #[must_use]
    pub fn elapsed(&self) -> i64 {
        self.seconds.load(Ordering::SeqCst)
    }

    /// The date.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.start + SignedDuration::from_secs(self.elapsed())
    }

    /// The monotonic clock.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        self.origin + Duration::from_secs(self.elapsed().unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance_together() {
        let clock = ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap());
        let before = clock.monotonic();
        clock.clone().advance(5);
        assert_eq!(clock.wall().as_second(), 1_800_000_005);
        assert_eq!(clock.monotonic() - before, Duration::from_secs(5));
    }
}
