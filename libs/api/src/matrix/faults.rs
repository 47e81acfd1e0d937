//! Minor releases of `PostgreSQL` to avoid: each introduced a fault that one of the next releases, often an
//! out-of-cycle one, fixed.

use std::ops::RangeInclusive;

use crate::PgVersion;

/// A known fault of some minor releases of one major version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    major: u32,
    minors: RangeInclusive<u32>,
    fixed: u32,
    /// What goes wrong, as a sentence without a full stop.
    pub symptom: &'static str,
}

/// 2022-06-16: "Prevent possible corruption of indexes created or rebuilt with the CONCURRENTLY option".
const CONCURRENTLY: &str = "CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY may omit rows from the index";
/// 2024-11-21: "Restore functionality of ALTER {ROLE|DATABASE} SET role".
const SET_ROLE: &str = "ALTER ROLE ... SET role and ALTER DATABASE ... SET role are ignored";
/// 2024-11-21, since 14: also "Repair ABI break for extensions that work with struct `ResultRelInfo`".
const ABI: &str = "extensions such as timescaledb may crash, and ALTER ROLE ... SET role is ignored";
/// 2025-02-20: "`PQescapeLiteral()` and `PQescapeIdentifier()` failed to honor their string length
/// parameter".
const QUOTING: &str = "PQescapeLiteral and PQescapeIdentifier of its libpq read past the given length";
/// 2026-02-26: "Avoid incorrect complaint of invalid encoding when `substring()` is applied to toasted
/// data", "Fix failure after replaying a multixid truncation record from WAL \[of\] an older minor version".
const SUBSTRING: &str =
    "substring() fails on some valid long texts, and WAL of an older minor release may not replay";

/// Each is documented in the notes of the release that fixed it, see [`Fault::release_notes`].
#[rustfmt::skip]
static FAULTS: [Fault; 17] = [
    fault(14, 0..=3, 4, CONCURRENTLY),

    fault(12, 21..=21, 22, SET_ROLE),
    fault(13, 17..=17, 18, SET_ROLE),
    fault(14, 14..=14, 15, ABI),
    fault(15, 9..=9, 10, ABI),
    fault(16, 5..=5, 6, ABI),
    fault(17, 1..=1, 2, ABI),

    fault(13, 19..=19, 20, QUOTING),
    fault(14, 16..=16, 17, QUOTING),
    fault(15, 11..=11, 12, QUOTING),
    fault(16, 7..=7, 8, QUOTING),
    fault(17, 3..=3, 4, QUOTING),

    fault(14, 21..=21, 22, SUBSTRING),
    fault(15, 16..=16, 17, SUBSTRING),
    fault(16, 12..=12, 13, SUBSTRING),
    fault(17, 8..=8, 9, SUBSTRING),
    fault(18, 2..=2, 3, SUBSTRING),
];

const fn fault(major: u32, minors: RangeInclusive<u32>, fixed: u32, symptom: &'static str) -> Fault {
    Fault { major, minors, fixed, symptom }
}

impl Fault {
    /// The known fault of a release, if any.
    #[must_use]
    pub fn of(version: PgVersion) -> Option<&'static Self> {
        FAULTS.iter().find(|fault| fault.major == version.major && fault.minors.contains(&version.minor))
    }

    /// The first release without the fault.
    #[must_use]
    pub fn fixed(&self) -> PgVersion {
        PgVersion { major: self.major, minor: self.fixed }
    }

    /// Address of the release notes of [`Fault::fixed`], which describe the fault.
    #[must_use]
    pub fn release_notes(&self) -> String {
        format!("https://www.postgresql.org/docs/release/{}/", self.fixed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("14.0 14.3", Some("14.4"))]
    #[case("12.21", Some("12.22"))]
    #[case("17.1", Some("17.2"))]
    #[case("16.7", Some("16.8"))]
    #[case("18.2", Some("18.3"))]
    #[case("13.16 14.4 14.13 14.15 17.0 17.2 17.4 18.1 18.3 18.6 11.21 12.20 12.22 21.14", None)]
    fn faulty_releases_are_known_with_their_fix(#[case] versions: &str, #[case] fixed: Option<&str>) {
        for version in versions.split_whitespace() {
            let found = Fault::of(version.parse().unwrap()).map(|fault| fault.fixed().to_string());
            assert_eq!(found.as_deref(), fixed, "{version}");
        }
    }

    #[test]
    fn fixed_release_is_not_faulty_itself() {
        for fault in &FAULTS {
            assert_eq!(Fault::of(fault.fixed()), None, "{fault:?}");
            assert!(fault.minors.clone().all(|minor| minor < fault.fixed), "{fault:?}");
        }
    }

    #[test]
    fn fault_names_the_release_notes() {
        let fault = Fault::of("17.1".parse().unwrap()).unwrap();
        assert_eq!(fault.release_notes(), "https://www.postgresql.org/docs/release/17.2/");
    }
}
