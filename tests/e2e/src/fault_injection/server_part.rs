//! The parts of a server of a database with standbys, as processes of its pod.

use super::process::{Process, inner_pid, name_of, parent, pids_of_pod, read};

/// The kernel keeps 15 bytes of the name `pgops-patroni-proxy`.
const PROXY: &str = "pgops-patroni-p";

/// What a fault hits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerPart {
    /// The postmaster, without its backends.
    Postmaster,
    /// Patroni.
    Patroni,
    /// PID 1 of the server's container: the gate and the watchdog.
    Instance,
    /// Patroni's only way to the API server.
    Proxy,
    /// All processes of the server's container.
    Container,
    /// All processes of the pod, with those that hold its namespaces.
    Pod,
}

impl ServerPart {
    /// Its running processes in the pod with this uid.
    #[must_use]
    pub fn processes(self, pod: &str) -> Vec<Process> {
        let pids = pids_of_pod(pod);
        // Patroni and the gate's clients execute the same program.
        let is_instance = |pid: i32| name_of(pid) == "pgops-instance" && inner_pid(pid) == Some(1);
        let instance = pids.iter().copied().find(|pid| is_instance(*pid));
        let container = instance.map(|pid| read(pid, "cgroup"));
        let is_child =
            |pid: i32, name: &str| instance.is_some() && parent(pid) == instance && name_of(pid) == name;
        let is_part = |pid: i32| match self {
            // A backend that has lost its postmaster is a child of PID 1 too.
            Self::Postmaster => is_child(pid, "postgres") && !read(pid, "cmdline").starts_with("postgres:"),
            Self::Patroni => is_child(pid, "python3"),
            Self::Instance => Some(pid) == instance,
            Self::Proxy => name_of(pid) == PROXY,
            Self::Container => Some(read(pid, "cgroup")) == container,
            Self::Pod => true,
        };
        pids.into_iter().filter(|pid| is_part(*pid)).filter_map(|pid| Process::open(pid).ok()).collect()
    }
}
