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

    /// Does something while it stands still.
    pub fn halted<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.signal(Signal::STOP)?;
        let done = act();
        self.signal(Signal::CONT)?;
        done
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
    #[must_use]
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

/// Processes of a pod that bear this name.
#[must_use]
pub fn of_pod(uid: &str, name: &str) -> Vec<Process> {
    let is_its = |number: &i32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{number}/{file}")).unwrap_or_default();
        read("cgroup").contains(&format!("pod{uid}")) && read("comm").trim() == name
    };
    numbers().filter(is_its).filter_map(|number| Process::open(number).ok()).collect()
}

/// The limit on the memory of a container, as long as this lives. The cluster's nodes have cgroups of version 1.
#[derive(Debug)]
pub struct MemoryLimit {
    cgroup: PathBuf,
}

impl MemoryLimit {
    /// Leaves the container of a process with what it cannot give back, to a mebibyte: the next that it asks for
    /// is too much.
    pub fn of(process: &Process) -> anyhow::Result<Self> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.number))?;
        let group =
            groups.lines().find_map(|line| line.split_once(":memory:")).context("no memory cgroup")?.1;
        let limit =
            Self { cgroup: PathBuf::from("/sys/fs/cgroup/memory").join(group.trim_start_matches('/')) };
        // What is in use and cannot be given back is refused as a limit.
        let least = (2_u64..4096).find(|mebibytes| limit.set(&(mebibytes << 20).to_string()).is_ok());
        least.context("the kernel takes no limit on the memory")?;
        Ok(limit)
    }

    /// How many processes the kernel has killed by it.
    pub fn kills(&self) -> anyhow::Result<u64> {
        let text = fs::read_to_string(self.cgroup.join("memory.oom_control"))?;
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(kills.context("the kernel does not count kills")?.parse()?)
    }

    fn set(&self, limit: &str) -> anyhow::Result<()> {
        let file = self.cgroup.join("memory.limit_in_bytes");
        fs::write(&file, limit).with_context(|| format!("failed to write {}", file.display()))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The cgroup may have gone with its container.
        let _ = self.set("-1");
    }
}

fn numbers() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
