//! How long a database accepts no writes, from the journal alone: so a runner that resumes counts on, however long the
//! database was left by itself.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use pgops_api::outage::seconds;

/// What a record means for the outage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutageChange {
    /// What follows stops the server, if one serves.
    Begins,
    /// A server serves.
    Ends,
}

/// The times at which the database accepted no writes. One request can stop it several times.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outage {
    /// How long those that have ended lasted together; `None` if there was none.
    ended: Option<SignedDuration>,
    since: Option<Timestamp>,
}

impl Outage {
    /// Records a change at `at`. `serving_since` is since when a server had served by then, if one did and that is known.
    pub fn record(&mut self, change: OutageChange, at: Timestamp, serving_since: Option<Timestamp>) {
        if let Some(began) = self.since {
            match (serving_since, change) {
                // It was not stopped: the runner was killed, or the step failed, before that.
                (Some(serving_since), _) if serving_since <= began => self.since = None,
                (Some(serving_since), _) => self.end(began, serving_since.min(at)),
                // Records of earlier versions do not say it.
                (None, OutageChange::Ends) => self.end(began, at),
                // The server is down: a runner that was killed starts its step again.
                (None, OutageChange::Begins) => {}
            }
        }
        if change == OutageChange::Begins {
            self.since = self.since.or(Some(at));
        }
    }

    fn end(&mut self, began: Timestamp, ended: Timestamp) {
        self.ended = Some(self.ended.unwrap_or_default() + ended.duration_since(began));
        self.since = None;
    }

    /// Since when the database has accepted no writes, if it still accepts none.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Whether the server was stopped at all.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.since.is_some() || self.ended.is_some()
    }

    /// How long all outages that have ended lasted; `None` if there was none, or one still lasts.
    #[must_use]
    pub fn duration(&self) -> Option<SignedDuration> {
        self.ended.filter(|_| self.since.is_none())
    }
}

/// `5.6s`, or `since 2026-02-03T04:05:06Z` while it lasts: that stays true if nothing is left that could update it. Empty if
/// there was none.
impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ended) = self.ended {
            f.write_str(&seconds(ended))?;
        }
        match (self.ended, self.since) {
            (_, None) => Ok(()),
            (None, Some(since)) => write!(f, "since {since:.0}"),
            (Some(_), Some(since)) => write!(f, ", and since {since:.0}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutageChange::{Begins, Ends};
    use pgops_api::progress::OutageProgress;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// The outage after changes at these seconds, with what served since when.
    fn after(changes: &[(OutageChange, i64, Option<i64>)]) -> Outage {
        let mut outage = Outage::default();
        for (change, second, serving_since) in changes {
            outage.record(*change, at(*second), serving_since.map(at));
        }
        outage
    }

    fn shown(changes: &[(OutageChange, i64, Option<i64>)]) -> String {
        after(changes).to_string()
    }

    #[test]
    fn outage_lasts_from_the_stop_until_a_server_serves() {
        let stopped = (Begins, 10, Some(-500));
        assert_eq!(shown(&[stopped, (Ends, 16, Some(15))]), "5.0s");
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn outage_that_lasts_is_shown_with_its_begin() {
        let outage = after(&[(Begins, 10, Some(-500))]);
        assert_eq!(outage.to_string(), "since 1970-01-01T00:00:10Z");
        assert_eq!((outage.duration(), outage.has_begun()), (None, true));
        assert_eq!(
            shown(&[(Begins, 10, None), (Ends, 16, None), (Begins, 20, None)]),
            "6.0s, and since 1970-01-01T00:00:20Z"
        );
    }

    #[test]
    fn shown_outage_can_be_read_back() {
        let read = |changes: &[(OutageChange, i64, Option<i64>)]| -> OutageProgress {
            shown(changes).parse().unwrap()
        };
        let (ended, since) = (Some(6.0), Some(at(20)));
        let changes = [(Begins, 10, None), (Ends, 16, None), (Begins, 20, None)];
        assert_eq!(read(&changes[..1]), OutageProgress { ended: None, since: Some(at(10)) });
        assert_eq!(read(&changes[..2]), OutageProgress { ended, since: None });
        assert_eq!(read(&changes), OutageProgress { ended, since });
    }

    #[test]
    fn outage_that_an_absent_runner_did_not_watch_is_counted() {
        // It was killed after the stop, and the next runner stops a server that does not run.
        assert_eq!(shown(&[(Begins, 10, Some(-500)), (Begins, 900, None), (Ends, 914, Some(914))]), "904.0s");
        // It was killed while the new server started.
        assert_eq!(shown(&[(Begins, 10, Some(-500)), (Ends, 900, Some(13))]), "3.0s");
    }

    #[test]
    fn server_that_was_not_stopped_causes_no_outage() {
        let killed_before_the_stop = [(Begins, 10, Some(-500)), (Begins, 900, Some(-500))];
        assert_eq!(after(&killed_before_the_stop).since(), Some(at(900)));
        let failed_before_the_stop = after(&[(Begins, 10, Some(-500)), (Ends, 40, Some(-500))]);
        assert_eq!(failed_before_the_stop, Outage::default());
    }

    #[test]
    fn outages_of_one_request_are_added_without_the_time_between_them() {
        let changes =
            [(Begins, 10, Some(-500)), (Ends, 15, Some(15)), (Begins, 60, Some(15)), (Ends, 62, Some(62))];
        assert_eq!(shown(&changes), "7.0s");
        // Another client has brought the server back.
        assert_eq!(shown(&[(Begins, 10, None), (Begins, 60, Some(20)), (Ends, 62, Some(62))]), "12.0s");
    }

    #[test]
    fn records_of_earlier_versions_are_counted_by_their_times() {
        assert_eq!(shown(&[(Begins, 10, None), (Begins, 60, None), (Ends, 70, None)]), "60.0s");
        assert_eq!(shown(&[(Ends, 70, None)]), "");
    }
}
