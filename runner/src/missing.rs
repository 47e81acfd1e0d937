//! Removals for which a missing file is not an error.

use std::io;

/// Ignores that the file was missing: what does not exist need not be removed.
pub fn ignore_not_found(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
