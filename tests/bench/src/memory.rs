//! The memory of an upgrade's worker, read from the control group of its container.
//!
//! That works where the benchmark runs on the machine of the node, as with the test cluster.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use pgops_e2e::UpgradeRequest;

/// The container of the worker in which the upgrade is carried out.
const CONTAINER: &str = "runner";
/// A container's control group goes with it: what is read last is as old as this at most.
const PERIOD: Duration = Duration::from_millis(100);

/// The most that was in use, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// All that the kernel charges: most of it are cached files, which it gives back when memory is short.
    pub charged: f64,
    /// What the processes have made for themselves, as seen every 100 ms.
    pub anonymous: f64,
}

/// Follows the memory until this future is dropped. `peak` stays empty where it cannot be seen.
pub async fn follow(upgrade: &UpgradeRequest, peak: &mut Option<Peak>) -> anyhow::Result<Infallible> {
    let directory = loop {
        tokio::time::sleep(PERIOD).await;
        let pods = upgrade.runner_pods().await?;
        if let Some(id) = pods.iter().find_map(container_id) {
            break find(&id);
        }
    };
    let Some(directory) = directory else { std::future::pending().await };
    loop {
        if let Some(now) = read(&directory) {
            let most = peak.get_or_insert_default();
            most.charged = most.charged.max(now.charged);
            most.anonymous = most.anonymous.max(now.anonymous);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// The running container's id, without the name of the runtime before it.
fn container_id(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let runner = statuses.iter().find(|status| status.name == CONTAINER)?;
    runner.state.as_ref()?.running.as_ref()?;
    Some(runner.container_id.as_ref()?.split_once("://")?.1.to_owned())
}

/// The control group of a container: of the memory controller (v1), or of all (v2).
fn find(id: &str) -> Option<PathBuf> {
    let all = fs::read_dir("/sys/fs/cgroup/memory").or_else(|_| fs::read_dir("/sys/fs/cgroup")).ok()?;
    let kubepods = all.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("kubepods"));
    kubepods.map(|entry| entry.path()).find_map(|directory| find_below(&directory, id))
}

fn find_below(directory: &Path, id: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten().filter(|entry| entry.path().is_dir());
    let mut directories = entries.map(|entry| entry.path());
    directories.find_map(|path| {
        if path.file_name()?.to_string_lossy().contains(id) { Some(path) } else { find_below(&path, id) }
    })
}

fn read(directory: &Path) -> Option<Peak> {
    let file = |name: &str| fs::read_to_string(directory.join(name));
    let charged = file("memory.peak").or_else(|_| file("memory.max_usage_in_bytes")).ok()?;
    Some(Peak { charged: mebibytes(charged.trim())?, anonymous: anonymous(&file("memory.stat").ok()?)? })
}

/// Bytes of anonymous memory: `anon` (v2), or `total_rss` (v1).
fn anonymous(stat: &str) -> Option<f64> {
    let field = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    mebibytes(field("anon").or_else(|| field("total_rss"))?)
}

fn mebibytes(bytes: &str) -> Option<f64> {
    Some(bytes.parse::<f64>().ok()? / 1024.0 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_versions_of_control_groups() {
        assert_eq!(anonymous("anon 2097152\nfile 4096\n"), Some(2.0));
        assert_eq!(anonymous("cache 4096\nrss 1048576\ntotal_cache 4096\ntotal_rss 3145728\n"), Some(3.0));
        assert_eq!(anonymous("cache 1\n"), None);
    }

    #[test]
    fn finds_the_group_of_a_container_wherever_it_is() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("burstable/pod1/cri-containerd-4f2a.scope");
        fs::create_dir_all(&group).unwrap();
        assert_eq!(find_below(root.path(), "4f2a"), Some(group.clone()));
        assert_eq!(find_below(root.path(), "9999"), None);
        fs::write(group.join("memory.max_usage_in_bytes"), "5242880\n").unwrap();
        fs::write(group.join("memory.stat"), "total_rss 1048576\n").unwrap();
        assert_eq!(read(&group), Some(Peak { charged: 5.0, anonymous: 1.0 }));
    }
}
