//! Servers that a killed `pg_upgrade` left running in this pod.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a fast shutdown may take before the server is told to drop everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Stops the server on `pgdata`, if this pod runs one, and waits until it is gone.
///
/// A postmaster.pid alone proves nothing: the number may be that of the database's own pod, or belong
/// to another process here. A postmaster's working directory is its data directory.
pub async fn stop_server(pgdata: &Path) -> io::Result<()> {
    let Some(pid) = running(pgdata) else { return Ok(()) };
    tracing::warn!(pid = pid.as_raw_nonzero().get(), "stopping a server left on {}", pgdata.display());
    signal(pid, Signal::INT)?;
    let began = std::time::Instant::now();
    let mut pressed = false;
    while running(pgdata) == Some(pid) {
        if began.elapsed() > PATIENCE && !pressed {
            signal(pid, Signal::QUIT)?;
            pressed = true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

fn signal(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn running(pgdata: &Path) -> Option<Pid> {
    let text = fs::read_to_string(pgdata.join("postmaster.pid")).ok()?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    (cwd == fs::canonicalize(pgdata).ok()?).then_some(())?;
    Pid::from_raw(pid)
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
    async fn a_server_in_its_data_directory_is_stopped() {
        let pgdata = tempfile::tempdir().unwrap();
        let mut server = Command::new("sleep").arg("1000").current_dir(pgdata.path()).spawn().unwrap();
        fs::write(pgdata.path().join("postmaster.pid"), format!("{}\n", server.id())).unwrap();
        let reaper = std::thread::spawn(move || server.wait().unwrap());
        stop_server(pgdata.path()).await.unwrap();
        assert!(!reaper.join().unwrap().success());
    }
}
