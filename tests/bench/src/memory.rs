//! Memory use of an upgrade's worker, read from the cgroup of the container that runs its programs.
//!
//! This requires that the benchmark runs on the node's machine, as with the test cluster.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use pgops_e2e::UpgradeRequest;

/// A sidecar, whose status is among those of the init containers.
const CONTAINER: &str = pgops_api::names::CONTAINER_PROGRAMS;
/// The cgroup is removed with its container, so the last reading is at most this old.
const INTERVAL: Duration = Duration::from_millis(100);

/// Peak memory use, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    /// All memory that the kernel charges: most of it is page cache, which is reclaimed when memory is short.
    pub charged: f64,
    /// Anonymous memory of the processes, sampled every 100 ms.
    pub anonymous: f64,
}

/// Samples the memory until this future is dropped. `peak` stays empty if the cgroup is not found.
pub async fn sample(upgrade: &UpgradeRequest, peak: &mut Option<Peak>) -> anyhow::Result<Infallible> {
    let directory = loop {
        tokio::time::sleep(INTERVAL).await;
        let pods = upgrade.runner_pods().await?;
        if let Some(id) = pods.iter().find_map(container_id) {
            break find(&id);
        }
    };
    let Some(directory) = directory else { std::future::pending().await };
    loop {
        if let Some(now) = read(&directory) {
            let peak = peak.get_or_insert_default();
            peak.charged = peak.charged.max(now.charged);
            peak.anonymous = peak.anonymous.max(now.anonymous);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The running container's id, without the prefix of the runtime.
fn container_id(pod: &Pod) -> Option<String> {
    let statuses = pod.status.as_ref()?.init_container_statuses.as_ref()?;
    let programs = statuses.iter().find(|status| status.name == CONTAINER)?;
    programs.state.as_ref()?.running.as_ref()?;
    Some(programs.container_id.as_ref()?.split_once("://")?.1.to_owned())
}

/// The cgroup of a container: of the memory controller (v1), or unified (v2).
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
    fn anonymous_memory_is_read_from_both_cgroup_versions() {
        assert_eq!(anonymous("anon 2097152\nfile 4096\n"), Some(2.0));
        assert_eq!(anonymous("cache 4096\nrss 1048576\ntotal_cache 4096\ntotal_rss 3145728\n"), Some(3.0));
        assert_eq!(anonymous("cache 1\n"), None);
    }

    #[test]
    fn cgroup_of_a_container_is_found_at_any_depth() {
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
