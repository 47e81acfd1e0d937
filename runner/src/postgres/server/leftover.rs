//! Servers that a killed `pg_upgrade` left running in this pod.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a fast shutdown may take before the server is told to drop everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stops whatever serves `pgdata` in this pod, and waits until nothing of it is left.
///
/// A postmaster.pid proves nothing: the number may be that of the database's own pod, and a server that
/// was only just forked has none yet. So the processes themselves are looked at.
pub async fn stop_server(pgdata: &Path) -> io::Result<()> {
    let began = std::time::Instant::now();
    let mut told = Vec::new();
    loop {
        let processes = servers(pgdata)?;
        if processes.is_empty() {
            return Ok(());
        }
        let hurry = began.elapsed() > PATIENCE;
        for process in &processes {
            let is_postmaster = !processes.iter().any(|other| other.pid == process.parent);
            if hurry || (is_postmaster && !told.contains(&process.pid)) {
                tracing::warn!(pid = process.pid, "stopping a server left on {}", pgdata.display());
                signal(process.pid, if hurry { Signal::KILL } else { Signal::INT })?;
                told.push(process.pid);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
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

/// The postmaster of `pgdata` and its children: all of them work in the data directory; one that is just
/// being started is known by its arguments.
fn servers(pgdata: &Path) -> io::Result<Vec<Process>> {
    let pgdata = match fs::canonicalize(pgdata) {
        Ok(pgdata) => pgdata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let me = i32::try_from(std::process::id()).unwrap_or(0);
    let pids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids
        .filter(|pid| *pid != me)
        .filter_map(|pid: i32| {
            // A process that ends meanwhile has no directory any more; one that just becomes another program has no
            // arguments for a moment, like a zombie, but works somewhere.
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
            let mut arguments =
                arguments.split(|byte| *byte == 0).map(|argument| Path::new(OsStr::from_bytes(argument)));
            let is_server = arguments.clone().any(|argument| {
                argument.file_name().is_some_and(|name| name == "postgres" || name == "postgres.real")
            });
            let is_for_it = arguments.any(|argument| argument == pgdata);
            (works_there || (is_server && is_for_it)).then_some(Process { pid, parent })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn a_pid_file_of_another_process_stops_nothing() {
        let pgdata = tempfile::tempdir().unwrap();
        let me = std::process::id();
        fs::write(pgdata.path().join("postmaster.pid"), format!("{me}\n")).unwrap();
        stop_server(pgdata.path()).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_in_its_data_directory_is_stopped_without_its_pid_file() {
        let pgdata = tempfile::tempdir().unwrap();
        let mut server = Command::new("sleep").arg("1000").current_dir(pgdata.path()).spawn().unwrap();
        let reaper = std::thread::spawn(move || server.wait().unwrap());
        stop_server(pgdata.path()).await.unwrap();
        assert!(!reaper.join().unwrap().success());
    }

    #[tokio::test]
    async fn a_server_that_is_just_being_started_is_stopped() {
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
    async fn a_missing_data_directory_has_no_server() {
        stop_server(Path::new("/nonexistent/data")).await.unwrap();
    }
}
