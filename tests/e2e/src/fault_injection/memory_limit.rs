//! A memory limit that makes the kernel kill a process.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::Context;

use super::process::Process;

/// A limit on the memory of a container, removed on drop. The cluster's nodes use version 1 of cgroups.
#[derive(Debug)]
pub struct MemoryLimit {
    cgroup: PathBuf,
}

impl MemoryLimit {
    /// Limits the container of a process to its unreclaimable memory, to a mebibyte: its next allocation exceeds
    /// the limit.
    pub fn of(process: &Process) -> anyhow::Result<Self> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid()))?;
        let group =
            groups.lines().find_map(|line| line.split_once(":memory:")).context("no memory cgroup")?.1;
        let limit =
            Self { cgroup: PathBuf::from("/sys/fs/cgroup/memory").join(group.trim_start_matches('/')) };
        // The kernel rejects a limit below the memory that is in use and cannot be reclaimed.
        let least = (2_u64..4096).find(|mebibytes| limit.set(&(mebibytes << 20).to_string()).is_ok());
        least.context("the kernel accepts no limit on the memory")?;
        Ok(limit)
    }

    /// Whether the kernel has killed a process because of the limit.
    pub fn has_killed(&self) -> anyhow::Result<bool> {
        let text = match fs::read_to_string(self.cgroup.join("memory.oom_control")) {
            // The container has ended with the process.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            text => text?,
        };
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(kills.context("the kernel does not count kills")?.parse::<u64>()? > 0)
    }

    fn set(&self, limit: &str) -> anyhow::Result<()> {
        let file = self.cgroup.join("memory.limit_in_bytes");
        fs::write(&file, limit).with_context(|| format!("failed to write {}", file.display()))
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        // The cgroup may have been removed with its container.
        let _ = self.set("-1");
    }
}
