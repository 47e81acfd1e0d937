//! For how long a server has not followed its primary.

use std::time::Duration;

/// What a look at the server shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// It accepts writes.
    Primary,
    /// It is in recovery.
    Standby {
        /// The process that receives WAL, if it streams. One that fails is another one each time, and streams for a moment.
        receiver: Option<i32>,
        /// How far it has replayed, in bytes.
        replayed: u64,
    },
    /// It does not answer: it is starting, or cannot.
    Silent {
        /// The name of the WAL segment that it recovers, if it does.
        segment: Option<String>,
    },
}

/// What is known of the server from all looks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Track {
    /// When it has last followed.
    followed: Duration,
    streams: bool,
    receiver: Option<i32>,
    /// The furthest that it came: one that starts again and again comes no further.
    replayed: u64,
    segment: Option<String>,
}

impl Track {
    pub fn new(now: Duration) -> Self {
        Self { followed: now, streams: false, receiver: None, replayed: 0, segment: None }
    }

    /// What is known after a look at that time.
    #[must_use]
    pub fn look(self, now: Duration, seen: &Seen) -> Self {
        let (streams, advances) = match seen {
            Seen::Primary => (true, false),
            Seen::Standby { receiver, replayed } => {
                (receiver.is_some() && *receiver == self.receiver, *replayed > self.replayed)
            }
            Seen::Silent { segment } => (false, *segment > self.segment),
        };
        let mut next = Self { streams, receiver: None, ..self };
        if streams || advances {
            next.followed = now;
        }
        match seen {
            Seen::Primary => {}
            Seen::Standby { receiver, replayed } => {
                next.receiver = *receiver;
                next.replayed = next.replayed.max(*replayed);
            }
            Seen::Silent { segment } => next.segment = next.segment.max(segment.clone()),
        }
        next
    }

    /// Whether its data is known to be good: it streams, or is the primary.
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// For how long it has not followed.
    pub fn behind(&self, now: Duration) -> Duration {
        now.saturating_sub(self.followed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn standby(receiver: Option<i32>, replayed: u64) -> Seen {
        Seen::Standby { receiver, replayed }
    }

    fn silent(segment: Option<&str>) -> Seen {
        Seen::Silent { segment: segment.map(ToOwned::to_owned) }
    }

    const FIRST: &str = "000000010000000000000003";
    const SECOND: &str = "000000010000000000000004";
    const NEXT_TIMELINE: &str = "000000020000000000000002";

    /// One look a second, the first one at 1 s: for how long it has not followed after the last, and whether it streams.
    #[rstest]
    #[case::primary(&[Seen::Primary, Seen::Primary], (0, true))]
    #[case::one_receiver(&[standby(Some(7), 1), standby(Some(7), 1), standby(Some(7), 1)], (0, true))]
    #[case::replays_without_streaming(&[standby(None, 1), standby(None, 2)], (0, false))]
    #[case::receiver_fails_again_and_again(&[standby(Some(7), 1), standby(Some(8), 1), standby(Some(9), 1)], (2, false))]
    #[case::neither(&[standby(None, 1), standby(None, 1), standby(None, 1)], (2, false))]
    #[case::stops_streaming(&[standby(Some(7), 1), standby(Some(7), 1), standby(None, 1)], (1, false))]
    #[case::was_rewound(&[standby(None, 9), standby(None, 1), standby(Some(7), 1)], (2, false))]
    #[case::recovers(&[silent(None), silent(Some(FIRST)), silent(Some(SECOND))], (0, false))]
    #[case::recovers_another_timeline(&[silent(Some(SECOND)), silent(Some(NEXT_TIMELINE))], (0, false))]
    #[case::starts_again_and_again(&[silent(Some(FIRST)), silent(Some(SECOND)), silent(None), silent(Some(FIRST)), silent(Some(SECOND))], (3, false))]
    #[case::does_not_start(&[silent(None), silent(None)], (2, false))]
    fn server_follows_while_it_streams_or_comes_further(
        #[case] looks: &[Seen],
        #[case] expected: (u64, bool),
    ) {
        let mut track = Track::new(Duration::ZERO);
        let mut now = Duration::ZERO;
        for seen in looks {
            now += Duration::from_secs(1);
            track = track.look(now, seen);
        }
        assert_eq!((track.behind(now).as_secs(), track.streams()), expected);
    }
}
