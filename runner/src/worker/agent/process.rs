//! Runs one program, and passes its output on.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

use super::heartbeat::heartbeat;
use super::lines::Lines;
use crate::agent::connection::Connection;
use crate::agent::protocol::{Command, Exit, Response, Stream};

/// How long to wait for further output after a program has ended, if its streams stay open.
const LINGER: Duration = Duration::from_millis(500);
/// The descriptor by which a program holds the interlock: the first after the three standard ones.
const INTERLOCK_FD: i32 = 3;

/// Runs `command` until it ends or the runner abandons it; returns the last answer, if the runner still waits for one.
pub async fn run(
    command: Command,
    descriptor: Option<OwnedFd>,
    connection: &mut Connection,
) -> Result<Option<Response>, String> {
    let program = command.program.display().to_string();
    let failed = |error: io::Error| format!("failed to start {program}: {error}");
    let mut child = spawn(command, descriptor).map_err(failed)?;
    let group = ProcessGroup::of(&child);
    let mut out =
        Lines::new(child.stdout.take().ok_or(io::ErrorKind::BrokenPipe).map_err(|kind| failed(kind.into()))?);
    let mut err =
        Lines::new(child.stderr.take().ok_or(io::ErrorKind::BrokenPipe).map_err(|kind| failed(kind.into()))?);
    let mut out_open = true;
    let mut err_open = true;
    let mut status = None;
    let mut heartbeat = heartbeat();
    while out_open || err_open || status.is_none() {
        let (stream, line) = tokio::select! {
            line = out.next(), if out_open => { out_open = line.is_some(); (Stream::Out, line) }
            line = err.next(), if err_open => { err_open = line.is_some(); (Stream::Err, line) }
            ended = child.wait(), if status.is_none() => { status = Some(ended.map_err(failed)?); continue }
            // The runner waits no longer, or has ended.
            () = connection.closed() => return Ok(None),
            // A process that outlives the program (a postmaster) may hold the streams open forever.
            () = tokio::time::sleep(LINGER), if status.is_some() => break,
            // Without output too.
            _ = heartbeat.tick() => {
                if connection.send(&Response::AtWork).await.is_err() {
                    return Ok(None);
                }
                continue;
            }
        };
        if let Some(line) = line
            && connection.send(&Response::Output { stream, line }).await.is_err()
        {
            return Ok(None);
        }
    }
    group.has_ended();
    let status = status.unwrap_or_default();
    Ok(Some(Response::Ended(Exit { success: status.success(), status: status.to_string() })))
}

fn spawn(command: Command, descriptor: Option<OwnedFd>) -> io::Result<Child> {
    let mut process = tokio::process::Command::new(&command.program);
    process
        .args(command.arguments)
        .env_clear()
        .envs(command.environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that one signal reaches its children too, see `ProcessGroup`.
        .process_group(0);
    if let Some(directory) = command.current_dir {
        process.current_dir(directory);
    }
    if command.holds_interlock {
        let Some(parent_fd) = descriptor else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the interlock did not come with the request",
            ));
        };
        let mapping = FdMapping { parent_fd, child_fd: INTERLOCK_FD };
        process.fd_mappings(vec![mapping]).map_err(|_| io::ErrorKind::AlreadyExists)?;
    }
    process.spawn()
}

/// The process group of a running program. Abandoning the program kills all of it: otherwise workers of `pg_upgrade`
/// would continue to move files while its work is undone.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.map(|pid| kill_process_group(pid, Signal::KILL)) {
            eprintln!("failed to kill an abandoned program: {error}");
        }
    }
}
