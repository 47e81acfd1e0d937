//! PID 1 of the worker's container: reaps, hands signals on, and starts a killed runner again.
//!
//! `pg_ctl` leaves its postmaster to PID 1. A zombie still answers `kill(pid, 0)`, so programs that
//! wait for a server's end that way would wait for ever if nobody reaped it.
//!
//! A runner that is killed alone, as where memory runs out, carries on in the same container at once: the Job
//! makes the next pod only after a pause that doubles each time, and the database may be down meanwhile.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, wait};
use tokio::signal::unix::{SignalKind, signal};

/// How often a killed runner is started again before its pod ends. What kills it again and again may go
/// with the container, or with the pause before the next one.
const RESTARTS: u32 = 3;

/// The child could not be started or watched.
#[derive(Debug, thiserror::Error)]
#[error("failed to supervise the runner as PID 1")]
pub struct InitError(#[from] io::Error);

/// Whether this process is the container's PID 1.
#[must_use]
pub fn is_init() -> bool {
    getpid().is_init()
}

/// Runs this very command as a child, until it ends; gives its exit status.
pub fn supervise() -> Result<ExitCode, InitError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::child())?;
        let mut child = start()?;
        let mut restarts = RESTARTS;
        loop {
            tokio::select! {
                _ = terminate.recv() => restarts = stop(child)?,
                _ = interrupt.recv() => restarts = stop(child)?,
                _ = ended.recv() => match reap(child).map(|status| after(status, restarts)) {
                    None => {}
                    Some(After::End(code)) => return Ok(ExitCode::from(code)),
                    Some(After::Restart) => {
                        eprintln!("the runner was killed: starting it again, it carries on from the journal");
                        end_all_others();
                        restarts -= 1;
                        child = start()?;
                    }
                },
            }
        }
    })
}

fn start() -> io::Result<Pid> {
    let child = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).spawn()?;
    Ok(Pid::from_child(&child))
}

/// Tells the runner to end; gives how often it may be started again after that.
fn stop(child: Pid) -> io::Result<u32> {
    kill_process(child, Signal::TERM)?;
    Ok(0)
}

/// What comes after the runner's end.
#[derive(Debug, Eq, PartialEq)]
enum After {
    /// The container ends with this status.
    End(u8),
    /// The runner is started again.
    Restart,
}

/// A runner that ended by itself has said what it had to say; one that was killed has not.
fn after(status: ExitStatus, restarts: u32) -> After {
    match status.code() {
        Some(code) => After::End(u8::try_from(code).unwrap_or(1)),
        None if restarts > 0 => After::Restart,
        None => After::End(1),
    }
}

/// Reaps whatever has ended; the exit status of `child` if that was among it.
fn reap(child: Pid) -> Option<ExitStatus> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            return Some(ExitStatus::from_raw(status.as_raw()));
        }
    }
    None
}

/// Kills every other process of the container, as the end of the container would, and waits until they are
/// gone: programs that a killed runner has left would go on changing the data beside the next one.
fn end_all_others() {
    // To the group of PID 1 means to everybody: outside of a container that would be the whole machine.
    if !is_init() {
        return;
    }
    // Fails if there is nobody else.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_was_killed_is_started_again_and_one_that_ended_is_not() {
        let killed = ExitStatus::from_raw(9);
        assert_eq!(after(killed, 1), After::Restart);
        assert_eq!(after(killed, 0), After::End(1));
        assert_eq!(after(ExitStatus::from_raw(42 << 8), 3), After::End(42));
        assert_eq!(after(ExitStatus::from_raw(0), 3), After::End(0));
    }
}
