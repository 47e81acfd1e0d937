//! The files of a mounted Secret with a certificate.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest file that is read, in bytes: a Secret has at most 1 MiB.
const MAX_FILE: u64 = 1 << 20;

/// Reads a file of a mounted Secret.
pub(crate) fn read(directory: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(directory.join(name))?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads a file that need not exist.
pub(crate) fn read_if_exists(directory: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
    match read(directory, name) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
