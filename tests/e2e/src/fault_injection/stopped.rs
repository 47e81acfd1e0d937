//! Processes that stand still.

use anyhow::ensure;
use rustix::process::Signal;

use super::process::Process;

/// How often processes are searched that others have started before these were stopped.
const SEARCHES: usize = 10;

/// Processes that were stopped by SIGSTOP, continued on drop.
#[derive(Debug)]
pub struct Stopped(Vec<Process>);

impl Stopped {
    /// Stops a process.
    pub fn stop(process: Process) -> anyhow::Result<Self> {
        process.signal(Signal::STOP)?;
        Ok(Self(vec![process]))
    }

    /// Stops all processes that `find` finds, also those that they start meanwhile.
    pub fn stop_all(find: impl Fn() -> Vec<Process>) -> anyhow::Result<Self> {
        let mut stopped = Self(Vec::new());
        for _ in 0..SEARCHES {
            let mut found = find();
            found.retain(|process| stopped.0.iter().all(|other| other.pid() != process.pid()));
            if found.is_empty() {
                break;
            }
            // One that has ended meanwhile is not found again.
            found.retain(|process| process.signal(Signal::STOP).is_ok());
            stopped.0.append(&mut found);
        }
        ensure!(!stopped.0.is_empty(), "no process was found that could be stopped");
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for process in &self.0 {
            // It may have been killed meanwhile.
            if let Err(error) = process.signal(Signal::CONT)
                && process.is_alive()
            {
                eprintln!("--- {error:#}");
            }
        }
    }
}
