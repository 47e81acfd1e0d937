//! Counters of a whole test run: each test appends its lines to one file, and `hack/summary` adds them up.

use std::io::Write;

/// Variable with the path of the file, one `WHAT NUMBER` per line; unset, nothing is counted.
const FILE: &str = "PGOPS_COUNTS";

/// Counts something that has happened without a loss, such as a kill.
pub fn add(what: &str, number: usize) -> anyhow::Result<()> {
    let Some(path) = std::env::var_os(FILE) else { return Ok(()) };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    // One write per line: tests append concurrently.
    Ok(file.write_all(format!("{what} {number}\n").as_bytes())?)
}
