//! PID 1 of a container of the worker: reaps zombies, forwards signals, and restarts a killed runner.
//!
//! `pg_ctl` leaves its postmaster to PID 1. A zombie still answers `kill(pid, 0)`, so programs that wait for a
//! server's end that way would wait forever if it were not reaped.
//!
//! A runner that is killed alone, for example by the OOM killer, resumes in the same container at once: the Job
//! creates the next pod only after a back-off that doubles each time, and the database may be down meanwhile. It gets the
//! connections to the agents that the killed one had: code of users may listen at their sockets by now.
//!
//! A killed agent is not restarted: the runner does not connect to another one, and the container's end says what has
//! killed it.
//!
//! `instance/src/reaper.rs` is another reaper, and differs on purpose: there PID 1 itself starts programs and needs
//! their exit statuses, so it owns every child and hands the statuses out. Here PID 1 has a single child, and
//! restarts it; the runner waits for its own programs in its own process.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, wait};
use tokio::signal::unix::{SignalKind, signal};

use super::ptrace::refuse_ptrace;
use crate::agent::handover::{self, ConnectError};

/// How often a killed runner is restarted before its pod ends. What kills it repeatedly may disappear with the
/// container, or during the back-off before the next one.
const RESTARTS: u32 = 3;

/// The child could not be started or watched.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("failed to supervise a program as PID 1")]
    Supervise(#[from] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

/// What PID 1 supervises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Supervised {
    Runner,
    Agent,
}

/// Whether this process is the container's PID 1.
#[must_use]
pub fn is_init() -> bool {
    getpid().is_init()
}

/// Runs this command line as a child until it ends; returns its exit status.
pub fn supervise(supervised: Supervised) -> Result<ExitCode, InitError> {
    if supervised == Supervised::Agent {
        // It is the one process of the container that the agent cannot kill: no code of users must take it over.
        refuse_ptrace()?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut ended = signal(SignalKind::child())?;
        let (agents, mut restarts) = match supervised {
            Supervised::Agent => (None, 0),
            Supervised::Runner => tokio::select! {
                agents = handover::connect_all() => (Some(agents?), RESTARTS),
                _ = terminate.recv() => return Ok(ExitCode::FAILURE),
            },
        };
        let mut child = start(agents.as_deref())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => match supervised {
                    Supervised::Runner => restarts = stop(child)?,
                    // Code of users may have stopped the agent: it ends with this process, like all others.
                    Supervised::Agent => return Ok(ExitCode::SUCCESS),
                },
                _ = interrupt.recv() => restarts = stop(child)?,
                _ = ended.recv() => match reap(child).map(|status| next_action(status, restarts)) {
                    None => {}
                    Some(NextAction::Exit(code)) => return Ok(ExitCode::from(code)),
                    Some(NextAction::Restart) => {
                        eprintln!("the runner was killed: restarting; it resumes from the journal");
                        kill_all_others();
                        restarts -= 1;
                        child = start(agents.as_deref())?;
                    }
                },
            }
        }
    })
}

/// Starts the child, which gets the connections to the agents if it is the runner.
fn start(agents: Option<&[OwnedFd]>) -> io::Result<Pid> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1));
    if let Some(agents) = agents {
        command.stdin(handover::give(agents)?);
    }
    Ok(Pid::from_child(&command.spawn()?))
}

/// Terminates the runner; returns how often it may be restarted after that.
fn stop(child: Pid) -> io::Result<u32> {
    kill_process(child, Signal::TERM)?;
    Ok(0)
}

/// What to do after the runner has ended.
#[derive(Debug, Eq, PartialEq)]
enum NextAction {
    /// End the container with this status.
    Exit(u8),
    Restart,
}

/// A runner that exited has reported its result; one that was killed has not.
fn next_action(status: ExitStatus, restarts: u32) -> NextAction {
    match status.code() {
        Some(code) => NextAction::Exit(u8::try_from(code).unwrap_or(1)),
        None if restarts > 0 => NextAction::Restart,
        None => NextAction::Exit(1),
    }
}

/// Reaps every process that has ended; returns the exit status of `child` if it was one of them.
fn reap(child: Pid) -> Option<ExitStatus> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            return Some(ExitStatus::from_raw(status.as_raw()));
        }
    }
    None
}

/// Kills every other process of the container, as the end of the container would, and waits until they have ended:
/// programs that a killed runner has left would continue to change the data next to those of the next one.
fn kill_all_others() {
    // The group of PID 1 is every process: outside of a container that would be the whole machine.
    if !is_init() {
        return;
    }
    // Fails if there is no other process.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while let Ok(Some(_)) = wait(WaitOptions::empty()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runner_is_restarted_only_if_it_was_killed() {
        let killed = ExitStatus::from_raw(9);
        assert_eq!(next_action(killed, 1), NextAction::Restart);
        assert_eq!(next_action(killed, 0), NextAction::Exit(1));
        assert_eq!(next_action(ExitStatus::from_raw(42 << 8), 3), NextAction::Exit(42));
        assert_eq!(next_action(ExitStatus::from_raw(0), 3), NextAction::Exit(0));
    }
}
