//! How long the outage of a major upgrade will be, from what the preflight itself has measured.

use std::fmt;
use std::time::Duration;

/// What takes the same time whatever the database holds: a clean stop, the starts and checks of `pg_upgrade`, the
/// new pod. Where this comes from: docs/development/benchmarks.md.
const BASE: Duration = Duration::from_secs(3);

/// The parts of an outage to come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Estimate {
    schema: Duration,
    copy: Duration,
}

impl Estimate {
    /// `schema` is what the rehearsal of all databases took, `bytes` what is copied, `rate` how much of it the
    /// volume takes in a second.
    pub(super) fn new(schema: Duration, bytes: u64, rate: u64) -> Self {
        Self { schema, copy: Duration::from_secs(bytes.div_ceil(rate.max(1))) }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (BASE + self.schema + self.copy).as_secs_f64();
        write!(
            f,
            "estimated outage: about {whole:.0} s ({:.1} s for the schema, as rehearsed; {} s to transfer files; {} s for all else)",
            self.schema.as_secs_f64(),
            self.copy.as_secs(),
            BASE.as_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;

    fn estimate(bytes: u64) -> String {
        Estimate::new(Duration::from_millis(2400), bytes, 100 * MEBIBYTE).to_string()
    }

    #[test]
    fn only_a_copy_takes_the_time_of_its_bytes() {
        let copied = estimate(1000 * MEBIBYTE);
        assert!(copied.starts_with("estimated outage: about 15 s (2.4 s for the schema"), "{copied}");
        assert!(copied.contains("; 10 s to transfer files"), "{copied}");
        assert!(estimate(0).starts_with("estimated outage: about 5 s "));
    }

    #[test]
    fn a_volume_that_takes_nothing_is_no_division_by_zero() {
        let estimate = Estimate::new(Duration::ZERO, 5, 0);
        assert_eq!(estimate.copy, Duration::from_secs(5));
    }
}
