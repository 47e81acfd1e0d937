//! Processes of the node.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process of the node. Its number may be another's by the time that it is signalled; this cannot.
#[derive(Debug)]
pub struct Process {
    number: i32,
    handle: OwnedFd,
}

impl Process {
    /// The process with this number.
    pub fn open(number: i32) -> anyhow::Result<Self> {
        let pid = Pid::from_raw(number).context("no process has number 0")?;
        let handle = pidfd_open(pid, PidfdFlags::empty())
            .with_context(|| format!("failed to open process {number}"))?;
        Ok(Self { number, handle })
    }

    /// Sends it a signal; an error if it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        pidfd_send_signal(&self.handle, signal)
            .with_context(|| format!("failed to send {signal:?} to process {}", self.number))
    }

    /// Whether it still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.number)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }
}

/// The processes of the container that works for a request.
#[derive(Debug)]
pub struct Worker {
    /// PID 1 of the container: with it, all of them end.
    pub init: Process,
    /// Its child, which executes the saga.
    pub runner: Process,
}

impl Worker {
    /// The worker of the request `uid`, as far as it is at work. No other process has the plan in its
    /// environment.
    pub fn find(uid: &str) -> Option<Self> {
        let (mut init, mut runner) = (None, None);
        for number in numbers() {
            let directory = PathBuf::from(format!("/proc/{number}"));
            let environment = fs::read(directory.join("environ")).unwrap_or_default();
            let has_plan = environment.split(|byte| *byte == 0).any(|variable| {
                variable.starts_with(b"PGOPS_PLAN=")
                    && variable.windows(uid.len()).any(|window| window == uid.as_bytes())
            });
            if !has_plan {
                continue;
            }
            let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
            let within =
                status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last());
            let place = if within == Some("1") { &mut init } else { &mut runner };
            *place = Process::open(number).ok();
        }
        Some(Self { init: init?, runner: runner? })
    }

    /// Whether both are at work.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.init.is_alive() && self.runner.is_alive()
    }
}

fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
