//! The lines of the probe's output.

use serde::{Deserialize, Serialize};

/// One line of the probe's output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line {
    /// Once a second.
    Progress {
        /// Seconds since the start.
        second: u64,
        /// Number of writes acknowledged so far.
        acknowledged: u64,
        /// Whether the last write was acknowledged.
        up: bool,
    },
    /// Writes succeed again.
    Outage {
        /// Milliseconds between the acknowledgements before and after.
        milliseconds: u64,
        /// Why the first write failed.
        error: String,
    },
    /// The last line.
    Summary(Summary),
}

/// The measurements of the probe.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Summary {
    /// Longest time between two acknowledged writes, in milliseconds.
    pub longest_gap_milliseconds: u64,
    /// Number of acknowledged writes.
    pub acknowledged: u64,
    /// The acknowledged numbers, as first and last of each contiguous range.
    pub ranges: Vec<(u64, u64)>,
}
