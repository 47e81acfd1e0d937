//! The probe's record of acknowledged writes.

use std::time::Duration;

use crate::line::{Line, Summary};

/// The shortest gap between two acknowledged writes that is reported.
const MIN_OUTAGE: Duration = Duration::from_millis(250);

/// The writes acknowledged so far. Times are since the start.
#[derive(Debug, Default)]
pub struct Record {
    summary: Summary,
    last: Option<Duration>,
    error: Option<String>,
}

impl Record {
    /// Records that write `n` was acknowledged at this time; returns a line if this ends an outage.
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
        (gap >= MIN_OUTAGE)
            .then(|| Line::Outage { milliseconds, error: error.unwrap_or_else(|| "slow".to_owned()) })
    }

    /// Records a write that failed or whose outcome is unknown; its number is never used again.
    pub fn failed(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// The progress at this time.
    #[must_use]
    pub fn progress(&self, at: Duration) -> Line {
        Line::Progress {
            second: at.as_secs(),
            acknowledged: self.summary.acknowledged,
            up: self.error.is_none(),
        }
    }

    /// The summary. An outage that still lasts at this time counts.
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
    fn failed_write_is_a_gap_in_the_acknowledged_numbers() {
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
    fn unfinished_outage_is_counted() {
        let mut record = Record::default();
        let _ = record.acknowledged(1, at(100));
        record.failed("refused".to_owned());
        assert_eq!(record.progress(at(1500)), Line::Progress { second: 1, acknowledged: 1, up: false });
        let Line::Summary(summary) = record.summary(at(5100)) else { panic!("no summary") };
        assert_eq!(summary.longest_gap_milliseconds, 5000);
    }
}
