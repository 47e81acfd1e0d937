//! A client that writes without pause, to measure how long a database takes no writes, and to prove
//! that it loses none that it has acknowledged.

mod record;

use serde::{Deserialize, Serialize};

pub use record::Record;

/// The database that the probe writes to. Fingerprints leave it out.
pub const PROBE_DATABASE: &str = "pgops_probe";
/// Table with a row for each number that was written.
pub const WRITES: &str = "writes";
/// Table with one row; the probe ends when its column `stop` becomes true.
pub const CONTROL: &str = "control";

/// Variable of its environment with the milliseconds from one write to the next.
pub const INTERVAL_VARIABLE: &str = "PROBE_INTERVAL";

/// One line of the probe's output.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Line {
    /// Once a second.
    Progress {
        /// Seconds since the beginning.
        second: u64,
        /// Number of writes acknowledged so far.
        acknowledged: u64,
        /// Whether the last write was acknowledged.
        up: bool,
    },
    /// Writes work again.
    Outage {
        /// Milliseconds between the acknowledgements around it.
        milliseconds: u64,
        /// Why the first write failed.
        error: String,
    },
    /// The last line.
    Summary(Summary),
}

/// What the probe saw.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Summary {
    /// Longest time between two acknowledged writes, in milliseconds.
    pub longest_gap_milliseconds: u64,
    /// Number of acknowledged writes.
    pub acknowledged: u64,
    /// The acknowledged numbers, as first and last of each unbroken range.
    pub ranges: Vec<(u64, u64)>,
}
