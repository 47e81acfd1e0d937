//! How an outage is measured and shown, for the runner of an upgrade and for the provisioner.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Since when a server serves that was seen at `seen`, and that the kubelet reports to be ready since `reported`. It reports whole
/// seconds: a moment ago means now, and what is longer ago, while nothing watched, is taken for the middle of the second.
#[must_use]
pub fn serving_since(reported: Option<Timestamp>, seen: Timestamp) -> Timestamp {
    const MOMENT: SignedDuration = SignedDuration::from_secs(2);
    match reported {
        Some(reported) if seen.duration_since(reported) > MOMENT => {
            reported + SignedDuration::from_millis(500)
        }
        _ => seen,
    }
}

/// Seconds with one decimal: `5.6s`.
#[must_use]
pub fn seconds(duration: SignedDuration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_no_runner_watched_serves_since_the_time_that_the_kubelet_reports() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let seen = Timestamp::from_millisecond(100_700).unwrap();
        assert_eq!(serving_since(Some(at(99)), seen), seen);
        assert_eq!(serving_since(None, seen), seen);
        assert_eq!(serving_since(Some(at(40)), seen), Timestamp::from_millisecond(40_500).unwrap());
    }
}
