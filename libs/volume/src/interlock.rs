//! The interlock: an exclusive flock(2), held by every process that runs a `PostgreSQL` program on the data.
//!
//! `PostgreSQL`'s own guards (the pid in `postmaster.pid`, shared memory) do not see across containers.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::FileError;
use crate::paths::Volume;

/// The lock, held until this value is dropped and every program that was given its descriptor has ended.
#[derive(Debug)]
pub struct Interlock(File);

impl Interlock {
    /// Takes the lock of a volume; `None` while another process holds it.
    pub fn try_take(volume: &Volume) -> Result<Option<Self>, FileError> {
        let path = &volume.interlock();
        volume.tree().create_dir(&volume.state_dir())?;
        let file = volume.tree().open_for_update(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(FileError::on("lock", path)(error)),
        }
    }

    /// A descriptor that every program spawned while it lives inherits, and the lock with it.
    ///
    /// The lock must outlive the server's last process. When PID 1 is killed, the kernel closes its
    /// files *before* it kills the other processes of the container: a lock of PID 1 alone would be
    /// free while backends still write.
    pub fn inheritable_fd(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::dup(&self.0)?)
    }

    /// A descriptor that is closed in spawned programs, for a caller that hands it to one program and no other.
    ///
    /// A server that outlives that caller keeps the interlock, and the instance waits instead of starting a
    /// second server on the same data.
    pub fn cloexec_fd(&self) -> io::Result<OwnedFd> {
        Ok(self.0.try_clone()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    fn is_free(volume: &Volume) -> bool {
        Interlock::try_take(volume).unwrap().is_some()
    }

    fn program() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    fn end(mut program: Child) {
        program.kill().unwrap();
        program.wait().unwrap();
    }

    #[test]
    fn interlock_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::at(directory.path());
        let held = Interlock::try_take(&volume).unwrap().unwrap();
        assert!(!is_free(&volume));
        drop(held);
        assert!(is_free(&volume));
    }

    #[test]
    fn interlock_outlives_its_holder_in_a_program_that_inherited_it() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::at(directory.path());
        let held = Interlock::try_take(&volume).unwrap().unwrap();
        let inherited = held.inheritable_fd().unwrap();
        let program = program();
        drop(inherited);
        drop(held);
        assert!(!is_free(&volume));
        end(program);
        assert!(is_free(&volume));
    }
}
