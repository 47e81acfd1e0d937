//! A quota that leaves the containers of a pod little of a core.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::process::{pids_of_pod, read};

/// A quota on each container of a pod, lifted on drop. The cluster's nodes use version 1 of cgroups.
#[derive(Debug)]
pub struct CpuQuota {
    /// The file with the quota of each container, and what it had.
    previous: Vec<(PathBuf, String)>,
}

impl CpuQuota {
    /// Gives each container of the pod with this uid that many percent of a core.
    pub fn of_pod(uid: &str, percent: u64) -> anyhow::Result<Self> {
        let groups: BTreeSet<PathBuf> = pids_of_pod(uid).into_iter().filter_map(cpu_group).collect();
        ensure!(!groups.is_empty(), "the pod has no cgroup of the controller cpu");
        let mut quota = Self { previous: Vec::new() };
        for group in groups {
            let period = read_trimmed(&group.join("cpu.cfs_period_us"))?.parse::<u64>()?;
            let file = group.join("cpu.cfs_quota_us");
            let previous = read_trimmed(&file)?;
            let failed = || format!("failed to write {}", file.display());
            fs::write(&file, (period * percent / 100).to_string()).with_context(failed)?;
            quota.previous.push((file, previous));
        }
        Ok(quota)
    }
}

impl Drop for CpuQuota {
    fn drop(&mut self) {
        for (file, previous) in &self.previous {
            // The cgroup may have been removed with its container.
            let _ = fs::write(file, previous);
        }
    }
}

fn cpu_group(pid: i32) -> Option<PathBuf> {
    let groups = read(pid, "cgroup");
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "cpu").then_some(path)
    })?;
    Some(PathBuf::from("/sys/fs/cgroup/cpu").join(path.trim_start_matches('/')))
}

fn read_trimmed(file: &Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    Ok(text.trim().to_owned())
}
