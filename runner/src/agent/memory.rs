//! How often the kernel has killed a process of an agent's container for lack of memory.
//!
//! It kills one process, and the agent can tell, or all processes of the container: then only the kubelet can, see
//! `cluster/own_pod.rs`. Which it does depends on the version of control groups and on the kubelet's configuration.

use std::path::Path;

use super::client::Agent;

/// The files of a container's own control group that count it, in version 2 and in version 1.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

impl Agent {
    /// The number of processes of the container that the kernel has killed for lack of memory since the container was
    /// started; none if that is not known.
    pub async fn memory_kills(&self) -> Option<u64> {
        for path in COUNTERS {
            if let Ok(text) = self.read_file(Path::new(path).to_owned()).await {
                return parse(&text);
            }
        }
        None
    }
}

fn parse(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_for_lack_of_memory_are_counted_in_both_versions() {
        assert_eq!(parse("low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(parse("oom_kill_disable 0\nunder_oom 0\n"), None, "an old kernel");
    }
}
