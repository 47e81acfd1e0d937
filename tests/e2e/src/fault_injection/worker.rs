//! The processes of a worker.

use std::fs;
use std::path::PathBuf;

use super::process::{Process, pids};

/// The processes of the container that executes a request.
#[derive(Debug)]
pub struct Worker {
    /// PID 1 of the container: if it ends, all others end.
    pub init: Process,
    /// Its child, which executes the saga.
    pub runner: Process,
}

impl Worker {
    /// The running worker of the request `uid`. No other process has the plan in its environment.
    #[must_use]
    pub fn find(uid: &str) -> Option<Self> {
        let mut init = None;
        let mut runner = None;
        for pid in pids() {
            let directory = PathBuf::from(format!("/proc/{pid}"));
            let environment = fs::read(directory.join("environ")).unwrap_or_default();
            let has_plan = environment.split(|byte| *byte == 0).any(|variable| {
                variable.starts_with(b"PGOPS_PLAN=")
                    && variable.windows(uid.len()).any(|window| window == uid.as_bytes())
            });
            if !has_plan {
                continue;
            }
            let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
            let inner_pid =
                status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last());
            let slot = if inner_pid == Some("1") { &mut init } else { &mut runner };
            *slot = Process::open(pid).ok();
        }
        Some(Self { init: init?, runner: runner? })
    }

    /// Whether both processes are running.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.init.is_alive() && self.runner.is_alive()
    }
}
