//! Processes of the node.

use std::fs;
use std::os::fd::OwnedFd;

use anyhow::Context;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process of the node, held by a pidfd: its PID may be reused before a signal is sent, the pidfd may not.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    handle: OwnedFd,
}

impl Process {
    /// Opens the process with this PID.
    pub fn open(pid: i32) -> anyhow::Result<Self> {
        let raw = Pid::from_raw(pid).context("no process has PID 0")?;
        let handle =
            pidfd_open(raw, PidfdFlags::empty()).with_context(|| format!("failed to open process {pid}"))?;
        Ok(Self { pid, handle })
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal; fails if the process has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        pidfd_send_signal(&self.handle, signal)
            .with_context(|| format!("failed to send {signal:?} to process {}", self.pid))
    }

    /// Runs `action` while the process is stopped.
    pub fn while_stopped<T>(&self, action: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.signal(Signal::STOP)?;
        let result = action();
        self.signal(Signal::CONT)?;
        result
    }

    /// Whether the process still runs. A zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }
}

/// The processes of a pod with this name.
#[must_use]
pub fn processes_of_pod(uid: &str, name: &str) -> Vec<Process> {
    let named = pids_of_pod(uid).into_iter().filter(|pid| name_of(*pid) == name);
    named.filter_map(|pid| Process::open(pid).ok()).collect()
}

/// The PIDs of a pod's processes.
pub(super) fn pids_of_pod(uid: &str) -> Vec<i32> {
    let group = format!("pod{uid}");
    pids().filter(|pid| read(*pid, "cgroup").contains(&group)).collect()
}

/// The name of a process, which has 15 bytes at most.
pub(super) fn name_of(pid: i32) -> String {
    read(pid, "comm").trim().to_owned()
}

/// The PID that a process has in its own namespace.
pub(super) fn inner_pid(pid: i32) -> Option<i32> {
    last_number(&read(pid, "status"), "NSpid:")
}

/// The PID of a process's parent.
pub(super) fn parent(pid: i32) -> Option<i32> {
    last_number(&read(pid, "status"), "PPid:")
}

fn last_number(status: &str, key: &str) -> Option<i32> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().last()?.parse().ok()
}

/// A file of a process with text; empty if the process has ended.
pub(super) fn read(pid: i32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}

/// The PIDs of all processes.
pub(super) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
