//! PID 1 of the worker's container: reaps, and hands signals on.
//!
//! `pg_ctl` leaves its postmaster to PID 1. A zombie still answers `kill(pid, 0)`, so programs that
//! wait for a server's end that way would wait for ever if nobody reaped it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

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
        let child = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).spawn()?;
        let child = Pid::from_child(&child);
        loop {
            tokio::select! {
                _ = terminate.recv() => kill_process(child, Signal::TERM).map_err(io::Error::from)?,
                _ = interrupt.recv() => kill_process(child, Signal::TERM).map_err(io::Error::from)?,
                _ = ended.recv() => {
                    if let Some(code) = reap(child) {
                        return Ok(code);
                    }
                }
            }
        }
    })
}

/// Reaps whatever has ended; the exit status of `child` if that was among it.
fn reap(child: Pid) -> Option<ExitCode> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            let status = std::process::ExitStatus::from_raw(status.as_raw());
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            return Some(ExitCode::from(code));
        }
    }
    None
}
