//! The duty of PID 1: reaping every process that ends, its own children and orphans.
//!
//! Waiting for any child would take the exit status that `std` or `tokio` waits for, so all
//! programs are spawned here and their exit status is handed out from here.
//!
//! The runner's PID 1 (`runner/src/worker/init.rs`) differs on purpose. It runs one child, the runner, and starts it
//! again if it is killed, so it needs no exit status but that child's. This one runs the server and its helpers side by
//! side and restarts nothing: the kubelet restarts the container.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::process::{ChildStdout, Command};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a program ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    Status(i32),
    Signal(i32),
}

impl Exit {
    pub fn success(self) -> bool {
        self == Self::Status(0)
    }

    fn of(status: WaitStatus) -> Option<Self> {
        status.exit_status().map(Self::Status).or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

type Waiting = HashMap<Pid, oneshot::Sender<Exit>>;

/// The receiver of each program's exit status. Global, as the children of a process are: a child that is reaped by
/// another `Reaper` than its own (tests have several) still has its exit status delivered.
static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// Spawns programs and reaps every process that ends.
#[derive(Clone)]
pub struct Reaper {
    // Locked while a program is spawned and while processes are reaped: a program that ends at
    // once is not reaped before it is registered, and a pid is not signalled after it was freed.
    waiting: &'static Mutex<Waiting>,
}

impl Reaper {
    /// Starts reaping, in a separate task.
    pub fn start() -> io::Result<Self> {
        let reaper = Self { waiting: &WAITING };
        let mut ended = signal(SignalKind::child())?;
        let task_reaper = reaper.clone();
        tokio::spawn(async move {
            while ended.recv().await.is_some() {
                task_reaper.reap();
            }
        });
        Ok(reaper)
    }

    fn reap(&self) {
        let mut waiting = self.lock();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let (Some(exit), Some(sender)) = (Exit::of(status), waiting.remove(&pid)) {
                // The receiver was dropped; the status is not needed.
                let _ = sender.send(exit);
            }
        }
    }

    pub fn spawn(&self, command: &mut Command) -> io::Result<Process> {
        let mut waiting = self.lock();
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, exit) = oneshot::channel();
        waiting.insert(pid, sender);
        Ok(Process { pid, exit, stdout: child.stdout.take(), reaper: self.clone() })
    }

    /// Does something while no process is spawned or reaped: no pid that it finds of a child or an orphan is another process
    /// by the time that it is signalled.
    pub fn undisturbed<T>(&self, work: impl FnOnce() -> T) -> T {
        let _waiting = self.lock();
        work()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running program. Dropping it does not end the program.
pub struct Process {
    pid: Pid,
    exit: oneshot::Receiver<Exit>,
    /// Its output, if the command has a pipe for it.
    pub stdout: Option<ChildStdout>,
    reaper: Reaper,
}

impl Process {
    #[cfg(test)]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal, unless the program has ended.
    pub fn signal(&self, signal: Signal) {
        let waiting = self.reaper.lock();
        if waiting.contains_key(&self.pid) {
            // The only failure left is a program that has ended and is about to be reaped.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Waits for the end. May be dropped and called again, but not after it has returned.
    pub async fn wait(&mut self) -> Exit {
        // The sender lives in the map until it is used.
        (&mut self.exit).await.unwrap_or(Exit::Status(-1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[tokio::test]
    async fn each_program_gets_its_own_exit_status() {
        let reaper = Reaper::start().unwrap();
        let mut programs: Vec<_> = (0..20)
            .map(|n| reaper.spawn(Command::new("sh").args(["-c", &format!("exit {n}")])).unwrap())
            .collect();
        for (n, program) in programs.iter_mut().enumerate() {
            assert_eq!(program.wait().await, Exit::Status(i32::try_from(n).unwrap()));
        }
        let mut stopped = reaper.spawn(Command::new("cat").stdin(Stdio::piped())).unwrap();
        // Not INT, which is ignored below a program that runs in the background.
        stopped.signal(Signal::TERM);
        let exit = stopped.wait().await;
        assert_eq!(exit.to_string(), "signal 15");
        stopped.signal(Signal::KILL);
    }
}
