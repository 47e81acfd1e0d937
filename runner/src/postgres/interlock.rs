//! The interlock: an exclusive flock(2), held by every pod that runs a `PostgreSQL` program on the data.
//!
//! `PostgreSQL`'s own guards (the pid in postmaster.pid, shared memory) do not work across containers.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Held as long as this value lives, or a program that it was passed to.
#[derive(Debug)]
pub struct Interlock(File);

impl Interlock {
    /// Takes the interlock; `None` if it is held elsewhere.
    pub fn try_take(path: &Path) -> io::Result<Option<Self>> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A descriptor to pass to a program: a server that outlives the runner keeps the interlock, and the instance waits
    /// instead of starting a second server on the same data.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(self.0.try_clone()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::program::command::Program;

    #[tokio::test]
    async fn interlock_is_kept_by_a_server_that_outlives_its_program() {
        let directory = tempfile::tempdir().unwrap();
        let (path, end) = (directory.path().join(".pgops/interlock"), directory.path().join("end"));
        assert!(std::process::Command::new("mkfifo").arg(&end).status().unwrap().success());
        let held = Interlock::try_take(&path).unwrap().unwrap();
        let script = format!("(read line < {}) > /dev/null 2>&1 &", end.display());
        let program = Program::new("/bin/sh".into()).arg("-c").arg(script).holding(&held).unwrap();
        program.output().await.unwrap();
        drop(held);
        assert!(Interlock::try_take(&path).unwrap().is_none());
        std::fs::write(&end, "\n").unwrap();
        while Interlock::try_take(&path).unwrap().is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    #[test]
    fn interlock_has_one_holder_and_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".pgops/interlock");
        let held = Interlock::try_take(&path).unwrap();
        assert!(held.is_some());
        assert!(Interlock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Interlock::try_take(&path).unwrap().is_some());
    }
}
