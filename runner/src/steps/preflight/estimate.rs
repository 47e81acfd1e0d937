//! Estimates the outage of a major upgrade from what the preflight has measured.

use std::fmt;
use std::time::Duration;

/// What takes the same time whatever the database holds: a clean stop, the starts and checks of `pg_upgrade`, the new
/// pod. Measured in docs/development/benchmarks.md.
const BASE: Duration = Duration::from_secs(3);

/// The parts of an expected outage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Estimate {
    schema: Duration,
    copy: Duration,
}

impl Estimate {
    /// `schema` is the duration of the rehearsal of all databases, `bytes` what is copied, `rate` the bytes that the volume
    /// writes in a second.
    pub fn new(schema: Duration, bytes: u64, rate: u64) -> Self {
        Self { schema, copy: Duration::from_secs(bytes.div_ceil(rate.max(1))) }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = (BASE + self.schema + self.copy).as_secs_f64();
        write!(
            f,
            "estimated outage: about {whole:.0} s ({:.1} s for the schema, as rehearsed; {} s to transfer files; {} s for the rest)",
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
    fn estimate_includes_the_bytes_of_a_copy_only() {
        let copied = estimate(1000 * MEBIBYTE);
        assert!(copied.starts_with("estimated outage: about 15 s (2.4 s for the schema"), "{copied}");
        assert!(copied.contains("; 10 s to transfer files"), "{copied}");
        assert!(estimate(0).starts_with("estimated outage: about 5 s "));
    }

    #[test]
    fn estimate_for_a_full_volume_does_not_divide_by_zero() {
        let estimate = Estimate::new(Duration::ZERO, 5, 0);
        assert_eq!(estimate.copy, Duration::from_secs(5));
    }
}
