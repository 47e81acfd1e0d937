//! What must have ended before a program is started: what the previous one has left, and servers of other means.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use pgops_volume::{FileError, Volume};
use rustix::process::Pid;

use super::access::Access;
use super::decision::{Previous, Refusal};

/// Time that killed processes may take to end. Those that wait for a volume that hangs take longer.
const TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// Kills what the previous program has left. A server that ended without its postmaster's help leaves backends that still write,
/// and commands of its archiver.
pub fn kill(access: &Access) -> Result<(), Refusal> {
    tracing::warn!("killing the processes that the previous program has left");
    let begin = Instant::now();
    while access.previous() != Previous::Ended {
        if begin.elapsed() > TIMEOUT {
            let reason = format!("they have not ended within {} s", TIMEOUT.as_secs());
            return Err(Refusal::Leftovers(reason));
        }
        // Again and again: one that forks while it is killed leaves a child.
        access.kill();
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Refuses if `postmaster.pid` names a process that executes the server's program: an operator may have started it in the
/// container. The file itself is not enough, since it may come from another pod, where the process was another one.
pub fn refuse_other_server(
    volume: &Volume,
    major: u32,
    server: &Path,
    requester: Pid,
) -> Result<(), Refusal> {
    match pid_in_file(volume, major)? {
        Some(pid) if pid != requester && executes(pid, server) => Err(Refusal::OtherServer(pid.as_raw_pid())),
        _ => Ok(()),
    }
}

/// The process that the file names. That of a server for a single user has its number negated.
fn pid_in_file(volume: &Volume, major: u32) -> Result<Option<Pid>, FileError> {
    let text = volume.tree().read_text_if_exists(&volume.data_dir(major).join("postmaster.pid"))?;
    let number = |text: String| text.lines().next()?.trim().parse::<i32>().ok();
    Ok(text.and_then(number).and_then(|number| Pid::from_raw(number.checked_abs()?)))
}

fn executes(pid: Pid, program: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    let executed = file(Path::new(&format!("/proc/{pid}/exe")));
    executed.is_some() && executed == file(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use rustix::process::getpid;

    #[test]
    fn server_of_other_means_is_found_by_its_pid_file_and_program() {
        let (_root, volume) = volume();
        let data = volume.data_dir(17);
        let own = std::env::current_exe().unwrap();
        let requester = Pid::from_raw(i32::MAX).unwrap();
        let refused =
            |program: &Path, requester| refuse_other_server(&volume, 17, program, requester).is_err();
        assert!(!refused(&own, requester), "there is no file");
        fs::create_dir_all(&data).unwrap();
        for number in [getpid().as_raw_pid(), -getpid().as_raw_pid()] {
            fs::write(data.join("postmaster.pid"), format!("{number}\n/var/pv/17/data\n")).unwrap();
            assert!(refused(&own, requester), "{number}");
            assert!(!refused(Path::new("/bin/sh"), requester), "it is another program");
            assert!(!refused(&own, getpid()), "it is the client itself");
        }
        for text in ["", "0\n", "-2147483648\n", "2147483646\n", "no number\n"] {
            fs::write(data.join("postmaster.pid"), text).unwrap();
            assert!(!refused(&own, requester), "{text:?}");
        }
    }
}
