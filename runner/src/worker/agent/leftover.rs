//! Leftover servers: those that a killed program of the runner left running in this pod.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a fast shutdown may take before the server is killed.
const FAST_SHUTDOWN: Duration = Duration::from_mins(1);

/// Stops every server of `pgdata` in this pod, and waits until none of its processes is left.
///
/// A postmaster.pid proves nothing: the number may be that of a process in the database's own pod, and a server that
/// was only just forked has no such file yet. So the processes themselves are inspected.
pub async fn stop_server(pgdata: &Path) -> io::Result<()> {
    let began = Instant::now();
    let mut signalled = Vec::new();
    loop {
        let processes = servers(pgdata)?;
        if processes.is_empty() {
            return Ok(());
        }
        let overdue = began.elapsed() > FAST_SHUTDOWN;
        for process in &processes {
            let is_postmaster = !processes.iter().any(|other| other.pid == process.parent);
            if overdue || (is_postmaster && !signalled.contains(&process.pid)) {
                tracing::warn!(pid = process.pid, "stopping a leftover server on {}", pgdata.display());
                signal(process.pid, if overdue { Signal::KILL } else { Signal::INT })?;
                signalled.push(process.pid);
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn signal(pid: i32, signal: Signal) -> io::Result<()> {
    match Pid::from_raw(pid).map(|pid| kill_process(pid, signal)) {
        Some(Err(error)) if error != rustix::io::Errno::SRCH => Err(error.into()),
        _ => Ok(()),
    }
}

/// A process that serves a data directory.
struct Process {
    pid: i32,
    parent: i32,
}

/// The postmaster of `pgdata` and its children.
fn servers(pgdata: &Path) -> io::Result<Vec<Process>> {
    let resolved = match fs::canonicalize(pgdata) {
        Ok(resolved) => resolved,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    // What works where a link leads to, the root directory perhaps, is not a server on the data.
    if resolved != pgdata {
        return Ok(Vec::new());
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter(|pid| *pid != own).filter_map(|pid| Process::serving(pgdata, pid)).collect())
}

impl Process {
    /// The process, if it serves `pgdata`: a server and its children have the data directory as their working
    /// directory; a server that is just being started has it among its arguments.
    fn serving(pgdata: &Path, pid: i32) -> Option<Self> {
        // The directory of a process that ends meanwhile disappears; a process that is just executing another program
        // has no arguments for a moment, like a zombie, but it has a working directory.
        let directory = PathBuf::from(format!("/proc/{pid}"));
        let stat = fs::read_to_string(directory.join("stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let is_zombie = fields.next()? == "Z";
        let parent = fields.next()?.parse().ok()?;
        if is_zombie {
            return None;
        }
        let arguments = fs::read(directory.join("cmdline")).ok()?;
        let works_there = fs::read_link(directory.join("cwd")).is_ok_and(|cwd| cwd == pgdata);
        (works_there || starts_server(&arguments, pgdata)).then_some(Self { pid, parent })
    }
}

/// Whether a command line, as `/proc` has it, is that of a server for `pgdata`.
fn starts_server(arguments: &[u8], pgdata: &Path) -> bool {
    let mut arguments =
        arguments.split(|byte| *byte == 0).map(|argument| Path::new(OsStr::from_bytes(argument)));
    let is_server = arguments.clone().any(|argument| {
        argument.file_name().is_some_and(|name| name == "postgres" || name == "postgres.real")
    });
    is_server && arguments.any(|argument| argument == pgdata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn pid_file_of_another_process_stops_nothing() {
        let pgdata = tempfile::tempdir().unwrap();
        let me = std::process::id();
        fs::write(pgdata.path().join("postmaster.pid"), format!("{me}\n")).unwrap();
        stop_server(pgdata.path()).await.unwrap();
    }

    #[tokio::test]
    async fn leftover_in_its_data_directory_is_stopped() {
        let pgdata = tempfile::tempdir().unwrap();
        let mut server = Command::new("sleep").arg("1000").current_dir(pgdata.path()).spawn().unwrap();
        let reaper = std::thread::spawn(move || server.wait().unwrap());
        stop_server(pgdata.path()).await.unwrap();
        assert!(!reaper.join().unwrap().success());
    }

    #[tokio::test]
    async fn leftover_that_is_just_being_started_is_stopped() {
        let pgdata = tempfile::tempdir().unwrap();
        let program = tempfile::tempdir().unwrap();
        let postgres = program.path().join("postgres");
        std::os::unix::fs::symlink("/bin/sh", &postgres).unwrap();
        let mut server = Command::new(&postgres)
            .args(["-c", "while :; do sleep 0.02; done", "-D"])
            .arg(pgdata.path())
            .spawn()
            .unwrap();
        let reaper = std::thread::spawn(move || server.wait().unwrap());
        stop_server(pgdata.path()).await.unwrap();
        assert!(!reaper.join().unwrap().success());
    }

    #[tokio::test]
    async fn process_in_the_target_of_a_link_is_not_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let link = directory.path().join("data");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let mut other = Command::new("sleep").arg("1000").current_dir(&elsewhere).spawn().unwrap();
        stop_server(&link).await.unwrap();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[tokio::test]
    async fn leftover_in_a_missing_data_directory_is_not_searched() {
        stop_server(Path::new("/nonexistent/data")).await.unwrap();
    }
}
