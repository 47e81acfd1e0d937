//! The duty of a PID 1: collect every process that ends, ours and those whose parent is gone.
//!
//! Waiting for any child would steal the exit status that `std` or `tokio` waits for, so all
//! programs are spawned here and their status is handed out from here.

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
    /// It returned this status.
    Status(i32),
    /// It was ended by this signal.
    Signal(i32),
}

impl Exit {
    /// Whether all went well.
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

/// Who waits for which program. One for the process, as its children are: a child that another reaper than its
/// own collects (tests have several) has its end handed out all the same.
static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// Spawns programs and collects every process that ends.
#[derive(Clone)]
pub struct Reaper {
    // Held while a program is spawned and while processes are collected: a program that ends at
    // once is not collected before it is known, and a pid is not signalled after it was freed.
    waiting: &'static Mutex<Waiting>,
}

impl Reaper {
    /// Begins to collect, in a task of its own.
    pub fn start() -> io::Result<Self> {
        let reaper = Self { waiting: &WAITING };
        let mut ended = signal(SignalKind::child())?;
        let collector = reaper.clone();
        tokio::spawn(async move {
            while ended.recv().await.is_some() {
                collector.collect();
            }
        });
        Ok(reaper)
    }

    fn collect(&self) {
        let mut waiting = self.lock();
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let (Some(exit), Some(sender)) = (Exit::of(status), waiting.remove(&pid)) {
                // Nobody listens any more: then nobody wants to know.
                let _ = sender.send(exit);
            }
        }
    }

    /// Starts a program.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Process> {
        let mut waiting = self.lock();
        let mut child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let (sender, exit) = oneshot::channel();
        waiting.insert(pid, sender);
        Ok(Process { pid, exit, stdout: child.stdout.take(), reaper: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program that was started. Dropping it leaves the program alone.
pub struct Process {
    pid: Pid,
    exit: oneshot::Receiver<Exit>,
    /// Its output, if the command asked for a pipe.
    pub stdout: Option<ChildStdout>,
    reaper: Reaper,
}

impl Process {
    /// Sends a signal, unless the program has ended.
    pub fn signal(&self, signal: Signal) {
        let waiting = self.reaper.lock();
        if waiting.contains_key(&self.pid) {
            // The one failure left is a program that has ended and is about to be collected.
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Waits for the end; may be dropped and called again, but not after it answered.
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
    async fn hands_each_program_its_own_end() {
        let reaper = Reaper::start().unwrap();
        let mut programs: Vec<_> = (0..20)
            .map(|n| reaper.spawn(Command::new("sh").args(["-c", &format!("exit {n}")])).unwrap())
            .collect();
        for (n, program) in programs.iter_mut().enumerate() {
            assert_eq!(program.wait().await, Exit::Status(i32::try_from(n).unwrap()));
        }
        let mut stopped = reaper.spawn(Command::new("cat").stdin(Stdio::piped())).unwrap();
        stopped.signal(Signal::INT);
        let exit = stopped.wait().await;
        assert_eq!(exit.to_string(), "signal 2");
        stopped.signal(Signal::KILL);
    }
}
