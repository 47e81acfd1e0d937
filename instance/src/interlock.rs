//! The lock that keeps every `PostgreSQL` program but one away from the data, across containers,
//! where the server's own guards (pids, shared memory) do not see.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::volume::FileError;

/// The lock, held until this value and every program that inherited it are gone.
#[derive(Debug)]
pub struct Interlock(File);

impl Interlock {
    /// Takes the lock; `None` while someone else has it.
    pub fn try_take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(FileError::on("open", path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(FileError::on("lock", path)(error)),
        }
    }

    /// A descriptor that programs spawned while it lives inherit, and the lock with it.
    ///
    /// The lock must outlive the server's last process. When PID 1 is killed, the kernel closes its
    /// files *before* it kills the other processes of the container: a lock of PID 1 alone would be
    /// free while backends still write.
    pub fn inheritable(&self) -> Result<OwnedFd, Errno> {
        rustix::io::dup(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reaper::Reaper;
    use rustix::process::Signal;
    use std::process::Command;

    #[test]
    fn one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interlock");
        let held = Interlock::try_take(&path).unwrap().unwrap();
        assert!(Interlock::try_take(&path).unwrap().is_none());
        drop(held);
        assert!(Interlock::try_take(&path).unwrap().is_some());
    }

    #[tokio::test]
    async fn stays_locked_until_the_last_program_that_inherited_it_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("interlock");
        let held = Interlock::try_take(&path).unwrap().unwrap();
        let inherited = held.inheritable().unwrap();
        let reaper = Reaper::start().unwrap();
        let mut program = reaper.spawn(Command::new("sleep").arg("600")).unwrap();
        drop((inherited, held));
        assert!(Interlock::try_take(&path).unwrap().is_none());
        program.signal(Signal::KILL);
        program.wait().await;
        assert!(Interlock::try_take(&path).unwrap().is_some());
    }
}
