//! A pipe that a program and everything that it starts hold open: it is closed once the last of them has ended, however it did.
//!
//! As with the interlock, the kernel keeps the account, so no process is missed and none that has another's pid is counted.

use std::io::{self, PipeReader, Read};
use std::os::fd::OwnedFd;

use rustix::fs::fstat;
use rustix::io::ioctl_fionbio;

/// PID 1's end of the pipe.
#[derive(Debug)]
pub struct Lifeline {
    reader: PipeReader,
    inode: u64,
}

/// Most reads for one answer: a program might write.
const MAX_READS: usize = 16;

impl Lifeline {
    /// The pipe, and the end that the program gets. Programs that this process starts do not inherit either.
    pub fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        ioctl_fionbio(&reader, true)?;
        let inode = fstat(&reader)?.st_ino;
        Ok((Self { reader, inode }, writer.into()))
    }

    /// Whether the program has ended, with everything that it has started.
    pub fn has_ended(&self) -> bool {
        let mut buffer = [0; 4096];
        for _ in 0..MAX_READS {
            match (&self.reader).read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        false
    }

    /// The pipe's inode, by which a process that holds the other end is recognised.
    pub fn inode(&self) -> u64 {
        self.inode
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn lifeline_ends_with_the_last_end_that_is_open() {
        let (lifeline, end) = Lifeline::new().unwrap();
        let other = end.try_clone().unwrap();
        drop(end);
        let mut other = File::from(other);
        other.write_all(&[0; 10_000]).unwrap();
        assert!(!lifeline.has_ended());
        drop(other);
        assert!(lifeline.has_ended());
    }
}
