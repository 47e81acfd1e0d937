//! Estimates the outage of a major upgrade from what the preflight has measured.

use std::fmt;
use std::time::Duration;

use super::rehearsal_times::RehearsalTimes;
use crate::postgres::volume::capacity::WriteSpeed;

/// How often servers are started and stopped: the serving one is stopped; `pg_upgrade` starts and stops the old one once and
/// the new one twice; it runs once more for the comparison of the rights; the new pod starts it.
const RESTARTS: u32 = 5;
/// What is not rehearsed and takes about the same time whatever the database holds: the checks of `pg_upgrade`, the programs
/// that it runs on the empty new cluster, and the handover between the pods. Measured in docs/development/benchmarks.md.
const REST: Duration = Duration::from_millis(1800);

/// What is estimated from.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    pub rehearsal: &'a RehearsalTimes,
    /// How many programs `pg_upgrade` runs at a time.
    pub jobs: usize,
    /// How many files are created in the new cluster's directories.
    pub files: u64,
    /// How many bytes are copied.
    pub copied: u64,
    pub volume: WriteSpeed,
}

/// The parts of an expected outage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Estimate {
    schema: Duration,
    transfer: Duration,
    servers: Duration,
    grants: Duration,
}

impl Estimate {
    #[must_use]
    pub fn new(measured: &Measured<'_>) -> Self {
        let Measured { rehearsal, jobs, files, copied, volume } = *measured;
        let create = volume.file.saturating_mul(u32::try_from(files).unwrap_or(u32::MAX));
        Self {
            schema: rehearsal.schema(jobs),
            transfer: volume.first_sync
                + create
                + Duration::from_secs(copied.div_ceil(volume.bytes_per_second.max(1))),
            servers: rehearsal.restart() * RESTARTS,
            grants: rehearsal.grants,
        }
    }

    fn whole(self) -> Duration {
        self.schema + self.transfer + self.servers + self.grants + REST
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, transfer, servers, grants } = self;
        let whole = self.whole().as_secs_f64();
        let digits = usize::from(whole < 10.0);
        write!(
            f,
            "estimated outage: about {whole:.digits$} s ({:.1} s for the schema, as rehearsed; {:.1} s to transfer files; {:.1} s to start \
             and stop servers; ",
            schema.as_secs_f64(),
            transfer.as_secs_f64(),
            servers.as_secs_f64(),
        )?;
        if !grants.is_zero() {
            write!(f, "{:.1} s to grant roles to roles with CREATEROLE; ", grants.as_secs_f64())?;
        }
        write!(f, "{:.1} s for the rest)", REST.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal_times::DatabaseTimes;
    use super::*;

    const MEBIBYTE: u64 = 1024 * 1024;

    fn rehearsal() -> RehearsalTimes {
        let milliseconds = Duration::from_millis;
        let small = DatabaseTimes { dump: milliseconds(200), restore: milliseconds(300) };
        RehearsalTimes {
            server_start: milliseconds(200),
            server_stop: milliseconds(100),
            globals: milliseconds(100),
            grants: Duration::ZERO,
            databases: vec![small, small, small],
        }
    }

    fn estimate(rehearsal: &RehearsalTimes, files: u64, copied: u64) -> String {
        let volume = WriteSpeed {
            bytes_per_second: 100 * MEBIBYTE,
            file: Duration::from_micros(50),
            first_sync: Duration::from_millis(100),
        };
        Estimate::new(&Measured { rehearsal, jobs: 2, files, copied, volume }).to_string()
    }

    #[test]
    fn estimate_of_an_almost_empty_database_is_made_of_what_was_measured() {
        assert_eq!(
            estimate(&rehearsal(), 100, 0),
            "estimated outage: about 4.5 s (1.1 s for the schema, as rehearsed; 0.1 s to transfer files; 1.5 s to start and stop \
             servers; 1.8 s for the rest)"
        );
    }

    #[test]
    fn estimate_grows_with_the_rehearsal_of_a_large_schema() {
        let mut large = rehearsal();
        large.databases[2] =
            DatabaseTimes { dump: Duration::from_secs(12), restore: Duration::from_secs(25) };
        let text = estimate(&large, 40_000, 0);
        assert!(text.starts_with("estimated outage: about 43 s (37.6 s for the schema"), "{text}");
        assert!(text.contains("; 2.1 s to transfer files"), "{text}");
    }

    #[test]
    fn estimate_includes_the_grants_that_are_carried_over() {
        let grants = RehearsalTimes { grants: Duration::from_secs(51), ..rehearsal() };
        let text = estimate(&grants, 100, 0);
        assert!(text.starts_with("estimated outage: about 56 s"), "{text}");
        assert!(
            text.contains("; 51.0 s to grant roles to roles with CREATEROLE; 1.8 s for the rest)"),
            "{text}"
        );
    }

    #[test]
    fn estimate_includes_the_bytes_of_a_copy() {
        let copied = estimate(&rehearsal(), 100, 1000 * MEBIBYTE);
        assert!(copied.starts_with("estimated outage: about 15 s (1.1 s for the schema"), "{copied}");
        assert!(copied.contains("; 10.1 s to transfer files"), "{copied}");
    }

    #[test]
    fn estimate_for_a_full_volume_does_not_divide_by_zero() {
        let volume = WriteSpeed::default();
        let measured = Measured { rehearsal: &rehearsal(), jobs: 1, files: u64::MAX, copied: 5, volume };
        assert_eq!(Estimate::new(&measured).transfer, Duration::from_secs(5));
    }
}
