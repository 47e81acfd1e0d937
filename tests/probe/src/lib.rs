//! The output format of `pgops-probe`: a client that writes continuously, to measure how long a database accepts no
//! writes, and to prove that it loses no acknowledged write.

mod line;
mod record;

pub use line::{Line, Summary};
pub use record::Record;

/// The database that the probe writes to. Fingerprints exclude it.
pub const PROBE_DATABASE: &str = "pgops_probe";
/// Table with a row for each written number.
pub const WRITES: &str = "writes";
/// Table with one row; the probe ends when its column `stop` becomes true.
pub const CONTROL: &str = "control";

/// Environment variable with the milliseconds between writes.
pub const INTERVAL_VARIABLE: &str = "PROBE_INTERVAL";
