//! Releases to skip: each introduced a fault that one of the next releases, often an out-of-cycle one, fixed. The notes
//! of that release describe it.

use std::ops::RangeInclusive;

/// A fault that some releases of one major version introduced.
#[derive(Debug)]
pub(super) struct Regression {
    pub(super) major: u32,
    pub(super) minors: RangeInclusive<u32>,
    /// The first minor release without it.
    pub(super) fixed: u32,
    pub(super) symptom: &'static str,
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
/// 2026-08-13: built and withdrawn before its announcement, because of a regression; distributions may have it.
const WITHDRAWN: &str = "it was withdrawn because of a regression, and never announced";

#[rustfmt::skip]
pub(super) static REGRESSIONS: [Regression; 18] = [
    regression(14, 0..=3, 4, CONCURRENTLY),

    regression(12, 21..=21, 22, SET_ROLE),
    regression(13, 17..=17, 18, SET_ROLE),
    regression(14, 14..=14, 15, ABI),
    regression(15, 9..=9, 10, ABI),
    regression(16, 5..=5, 6, ABI),
    regression(17, 1..=1, 2, ABI),

    regression(13, 19..=19, 20, QUOTING),
    regression(14, 16..=16, 17, QUOTING),
    regression(15, 11..=11, 12, QUOTING),
    regression(16, 7..=7, 8, QUOTING),
    regression(17, 3..=3, 4, QUOTING),

    regression(14, 21..=21, 22, SUBSTRING),
    regression(15, 16..=16, 17, SUBSTRING),
    regression(16, 12..=12, 13, SUBSTRING),
    regression(17, 8..=8, 9, SUBSTRING),
    regression(18, 2..=2, 3, SUBSTRING),

    regression(18, 5..=5, 6, WITHDRAWN),
];

const fn regression(
    major: u32,
    minors: RangeInclusive<u32>,
    fixed: u32,
    symptom: &'static str,
) -> Regression {
    Regression { major, minors, fixed, symptom }
}
