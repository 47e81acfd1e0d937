//! The probe's book: what was acknowledged, and when.

use std::time::Duration;

use super::{Line, Summary};

/// A gap between two acknowledged writes that is worth a line.
const OUTAGE: Duration = Duration::from_millis(250);

/// What was acknowledged so far. Times are since the beginning.
#[derive(Debug, Default)]
pub struct Record {
    summary: Summary,
    last: Option<Duration>,
    error: Option<String>,
}

impl Record {
    /// Write number `n` was acknowledged at this time; the line of the outage that this ends.
    pub fn acknowledged(&mut self, n: u64, at: Duration) -> Option<Line> {
        match self.summary.ranges.last_mut() {
            Some((_, end)) if *end + 1 == n => *end = n,
            _ => self.summary.ranges.push((n, n)),
        }
        self.summary.acknowledged += 1;
        let gap = at.saturating_sub(self.last.replace(at).unwrap_or(at));
        let milliseconds = milliseconds(gap);
        self.summary.longest_gap_milliseconds = self.summary.longest_gap_milliseconds.max(milliseconds);
        let error = self.error.take();
        (gap >= OUTAGE)
            .then(|| Line::Outage { milliseconds, error: error.unwrap_or_else(|| "slow".to_owned()) })
    }

    /// A write failed, or nobody knows; its number is never used again.
    pub fn failed(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// How it stands at this time.
    #[must_use]
    pub fn progress(&self, at: Duration) -> Line {
        Line::Progress {
            second: at.as_secs(),
            acknowledged: self.summary.acknowledged,
            up: self.error.is_none(),
        }
    }

    /// All of it. An outage that still lasts at this time counts.
    #[must_use]
    pub fn summary(mut self, at: Duration) -> Line {
        let open = at.saturating_sub(self.last.unwrap_or_default());
        if self.error.is_some() {
            self.summary.longest_gap_milliseconds =
                self.summary.longest_gap_milliseconds.max(milliseconds(open));
        }
        Line::Summary(self.summary)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_failed_write_is_a_hole_in_the_acknowledged_numbers() {
        let mut record = Record::default();
        assert_eq!(record.acknowledged(1, at(0)), None);
        assert_eq!(record.acknowledged(2, at(50)), None);
        record.failed("refused".to_owned());
        record.failed("a later error".to_owned());
        let outage = record.acknowledged(5, at(2050));
        assert_eq!(outage, Some(Line::Outage { milliseconds: 2000, error: "refused".to_owned() }));
        let summary =
            Summary { longest_gap_milliseconds: 2000, acknowledged: 3, ranges: vec![(1, 2), (5, 5)] };
        assert_eq!(record.summary(at(9000)), Line::Summary(summary));
    }

    #[test]
    fn an_outage_that_never_ended_counts() {
        let mut record = Record::default();
        let _ = record.acknowledged(1, at(100));
        record.failed("refused".to_owned());
        assert_eq!(record.progress(at(1500)), Line::Progress { second: 1, acknowledged: 1, up: false });
        let Line::Summary(summary) = record.summary(at(5100)) else { panic!("no summary") };
        assert_eq!(summary.longest_gap_milliseconds, 5000);
    }
}
