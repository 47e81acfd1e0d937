//! What a wait does less often than it looks.

use std::time::Duration;

use tokio::time::Instant;

/// Interval between two looks at the workload, which another client may change.
const APPLY_INTERVAL: Duration = Duration::from_secs(1);
/// How long a wait lasts before it is reported, and how often it is looked up what it waits for.
pub(super) const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The times of one wait.
pub struct WaitTimes {
    began: Instant,
    applied: Option<Instant>,
    reported: Instant,
}

impl WaitTimes {
    pub fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, applied: None, reported: now }
    }

    /// How long it has lasted.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether it is time to look at the workload.
    pub fn applies(&mut self) -> bool {
        let is_due = self.applied.is_none_or(|applied| applied.elapsed() >= APPLY_INTERVAL);
        if is_due {
            self.applied = Some(Instant::now());
        }
        is_due
    }

    /// Whether it is time to report what is waited for.
    pub fn reports(&mut self) -> bool {
        let is_due = self.reported.elapsed() >= REPORT_INTERVAL;
        if is_due {
            self.reported = Instant::now();
        }
        is_due
    }
}
