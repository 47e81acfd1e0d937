//! The interlock: whoever runs a `PostgreSQL` program on the data holds an exclusive flock(2).
//!
//! `PostgreSQL`'s own guards (the pid in postmaster.pid, shared memory) do not see across containers.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held as long as this value lives.
#[derive(Debug)]
pub struct Interlock {
    _file: File,
}

impl Interlock {
    /// Takes the interlock; `None` if somebody else holds it.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_it_and_it_is_free_again_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".pgops/interlock");
        let held = Interlock::try_take(&path).unwrap();
        assert!(held.is_some());
        assert!(Interlock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Interlock::try_take(&path).unwrap().is_some());
    }
}
