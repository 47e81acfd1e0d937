//! The timings of a database with standbys, and the inequality that rules out two primaries.
//!
//! A leader's renewal of the lock is sent at S and written at W, not before S. Its watchdog kills the server `watchdog` after S,
//! whenever the leader learns that it was written, which takes up to `kill`. Another member promotes `ttl` after W at the earliest.
//! So no two servers take writes at once if `watchdog + kill < ttl`. The model in `patroni/model` checks that this is exact.

/// Patroni raises a shorter `ttl` to this.
const SHORTEST_TTL: u16 = 20;

/// Whether a server is certainly dead before another one is promoted. All in one unit of time.
#[must_use]
pub const fn server_ends_in_time(ttl: u16, watchdog: u16, kill: u16) -> bool {
    watchdog as u32 + (kill as u32) < ttl as u32
}

/// Timings that were checked, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    ttl: u16,
    loop_wait: u16,
    retry_timeout: u16,
    watchdog: u16,
    kill: u16,
}

/// Why a database must not run with these timings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingsError {
    /// Patroni would use another ttl than the one that was checked.
    #[error("ttl is {ttl} s: Patroni raises it to {SHORTEST_TTL} s, so give at least that")]
    ShortTtl {
        /// The rejected ttl.
        ttl: u16,
    },
    /// Patroni rejects these, and takes defaults instead.
    #[error(
        "loop_wait {loop_wait} s and twice retry_timeout {retry_timeout} s are more than ttl {ttl} s: lower one of the first two"
    )]
    LongRound {
        /// Seconds between two rounds of Patroni.
        loop_wait: u16,
        /// The time limit of a request.
        retry_timeout: u16,
        /// The lock's time to live.
        ttl: u16,
    },
    /// One slow renewal would kill a healthy server.
    #[error(
        "the watchdog kills after {watchdog} s, but two renewals may be loop_wait {loop_wait} s or retry_timeout \
         {retry_timeout} s apart, and the second take twice retry_timeout: raise it above their sum"
    )]
    EagerWatchdog {
        /// Seconds without a keepalive.
        watchdog: u16,
        /// Seconds between two rounds of Patroni.
        loop_wait: u16,
        /// The time limit of a request.
        retry_timeout: u16,
    },
    /// Another member could promote while the old primary still takes writes.
    #[error(
        "watchdog {watchdog} s and kill {kill} s must together be less than ttl {ttl} s, else two servers may take writes at once"
    )]
    TwoPrimaries {
        /// Seconds without a keepalive.
        watchdog: u16,
        /// Seconds that a kill takes.
        kill: u16,
        /// The lock's time to live.
        ttl: u16,
    },
}

impl Timings {
    /// Those of a database with standbys.
    pub const STANDBYS: Self = Self { ttl: 20, loop_wait: 3, retry_timeout: 4, watchdog: 14, kill: 3 };

    /// Timings that Patroni accepts unchanged, that leave one primary, and with which a slow renewal kills no server.
    pub const fn new(
        ttl: u16,
        loop_wait: u16,
        retry_timeout: u16,
        watchdog: u16,
        kill: u16,
    ) -> Result<Self, TimingsError> {
        if ttl < SHORTEST_TTL {
            return Err(TimingsError::ShortTtl { ttl });
        }
        if loop_wait as u32 + 2 * retry_timeout as u32 > ttl as u32 {
            return Err(TimingsError::LongRound { loop_wait, retry_timeout, ttl });
        }
        // The next renewal begins when the previous one has ended. Without the API server a round asks it, and then all members.
        let apart = if loop_wait > retry_timeout { loop_wait } else { retry_timeout };
        if watchdog as u32 <= apart as u32 + 2 * retry_timeout as u32 {
            return Err(TimingsError::EagerWatchdog { watchdog, loop_wait, retry_timeout });
        }
        if !server_ends_in_time(ttl, watchdog, kill) {
            return Err(TimingsError::TwoPrimaries { watchdog, kill, ttl });
        }
        Ok(Self { ttl, loop_wait, retry_timeout, watchdog, kill })
    }

    /// How long the lock is valid for a member after the member saw it change.
    #[must_use]
    pub const fn ttl(self) -> u16 {
        self.ttl
    }

    /// Seconds between two rounds of Patroni.
    #[must_use]
    pub const fn loop_wait(self) -> u16 {
        self.loop_wait
    }

    /// The time limit of a request, retries included.
    #[must_use]
    pub const fn retry_timeout(self) -> u16 {
        self.retry_timeout
    }

    /// Seconds after which the server is killed, from when the last confirmed renewal was sent.
    #[must_use]
    pub const fn watchdog(self) -> u16 {
        self.watchdog
    }

    /// Seconds that a kill takes at most.
    #[must_use]
    pub const fn kill(self) -> u16 {
        self.kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_of_standbys_are_accepted() {
        let timings = Timings::STANDBYS;
        assert_eq!(Timings::new(20, 3, 4, 14, 3), Ok(timings));
        assert_eq!((timings.ttl(), timings.loop_wait(), timings.retry_timeout()), (20, 3, 4));
        assert_eq!((timings.watchdog(), timings.kill()), (14, 3));
    }

    #[test]
    fn timings_that_allow_two_primaries_are_rejected_from_equality_on() {
        assert!(Timings::new(20, 3, 4, 16, 3).is_ok());
        let error = Timings::new(20, 3, 4, 17, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "watchdog 17 s and kill 3 s must together be less than ttl 20 s, else two servers may take writes at once"
        );
    }

    #[test]
    fn timings_that_patroni_would_change_are_rejected() {
        assert_eq!(Timings::new(19, 3, 4, 14, 1), Err(TimingsError::ShortTtl { ttl: 19 }));
        assert!(matches!(Timings::new(20, 5, 8, 14, 1), Err(TimingsError::LongRound { .. })));
    }

    #[test]
    fn watchdog_that_one_slow_renewal_sets_off_is_rejected() {
        assert!(matches!(Timings::new(20, 3, 4, 12, 1), Err(TimingsError::EagerWatchdog { .. })));
        assert!(Timings::new(20, 3, 4, 13, 1).is_ok());
        assert!(matches!(Timings::new(20, 6, 3, 12, 1), Err(TimingsError::EagerWatchdog { .. })));
    }

    #[test]
    fn timings_near_the_largest_number_do_not_overflow() {
        assert!(Timings::new(u16::MAX, 1, u16::MAX, u16::MAX, u16::MAX).is_err());
        assert!(!server_ends_in_time(u16::MAX, u16::MAX, 1));
    }
}
