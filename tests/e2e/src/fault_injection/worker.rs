//! The processes of a worker.

use std::fs;
use std::path::PathBuf;

use pgops_api::layout::{PROGRAMS_DIR, REHEARSAL_DIR};

use super::process::{Process, inner_pid, pids};

/// The processes of a worker's containers that act on the database.
#[derive(Debug)]
pub struct Worker {
    /// PID 1 of the container: if it ends, all others end.
    pub init: Process,
    /// Its child, which executes the saga.
    pub runner: Process,
    /// PID 1 of the container that runs programs on the volume.
    pub programs: Process,
    /// PID 1 of the container in which the schema is rehearsed; none in a minor upgrade.
    pub rehearsal: Option<Process>,
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
            let slot = if inner_pid(pid) == Some(1) { &mut init } else { &mut runner };
            *slot = Process::open(pid).ok();
        }
        let init: Process = init?;
        let programs = find_agent(&init, PROGRAMS_DIR)?;
        let rehearsal = find_agent(&init, REHEARSAL_DIR);
        Some(Self { init, runner: runner?, programs, rehearsal })
    }

    /// Whether both processes are running.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.init.is_alive() && self.runner.is_alive()
    }
}

/// PID 1 of the container, in the same pod as `other`, whose agent listens in `directory`.
fn find_agent(other: &Process, directory: &str) -> Option<Process> {
    let pod = pod_uid(other.pid())?;
    let is_agent = |pid: &i32| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let listens = arguments
            .split(|byte| *byte == 0)
            .any(|argument| String::from_utf8_lossy(argument).starts_with(&format!("{directory}/")));
        listens && inner_pid(*pid) == Some(1) && pod_uid(*pid).as_ref() == Some(&pod)
    };
    pids().find(is_agent).and_then(|pid| Process::open(pid).ok())
}

/// The uid of the pod that a process belongs to, from its control group.
fn pod_uid(pid: i32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let (_, rest) = groups.split_once("/pod")?;
    rest.split('/').next().map(ToOwned::to_owned)
}
