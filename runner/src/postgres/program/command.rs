//! Runs `PostgreSQL`'s programs in an environment of their own, and captures their output.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use pgops_volume::Interlock;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};

use crate::postgres::redact::redact;

/// Number of last lines of each stream that an error carries.
const TAIL: usize = 15;
/// How long to wait for further output after a program has ended, if its streams stay open.
const LINGER: Duration = Duration::from_millis(500);

/// The descriptor by which a program holds the interlock: the first after the three standard ones.
const INTERLOCK_FD: i32 = 3;

/// A program could not be started, or failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("failed to start {program}")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed with {status}: {tail}")]
    Ended {
        program: String,
        /// The exit status or the signal, as text.
        status: String,
        /// The last lines of its output, redacted.
        tail: String,
    },
}

/// A program to run. Only the variables that are named here reach it, not the container's environment: `PGHOST`,
/// `PGOPTIONS`, `PGSERVICE` and the like would change what it does.
pub struct Program {
    path: PathBuf,
    command: Command,
}

impl Program {
    /// The program at `path`, with its own directory first on `PATH`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let mut command = Command::new(&path);
        let bindir = path.parent().unwrap_or(Path::new("/")).display().to_string();
        command
            .env_clear()
            .env("PATH", format!("{bindir}:/usr/local/bin:/usr/bin:/bin"))
            // It does not exist, so no .pgpass or .psqlrc is read from it.
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C")
            // A long crash recovery is not a failure: pg_ctl's default limit is 60 s.
            .env("PGCTLTIMEOUT", "86400")
            .stdin(Stdio::null())
            // So that one signal reaches its children too, see `ProcessGroup`.
            .process_group(0);
        Self { path, command }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Passes the interlock to it, to hold as long as it or any of its children lives.
    pub fn holding(mut self, interlock: &Interlock) -> io::Result<Self> {
        let mapping = FdMapping { parent_fd: interlock.cloexec_fd()?, child_fd: INTERLOCK_FD };
        self.command.fd_mappings(vec![mapping]).map_err(|_| io::ErrorKind::AlreadyExists)?;
        Ok(self)
    }

    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it and returns its standard output.
    pub async fn output(self) -> Result<String, CommandError> {
        let mut lines = Vec::new();
        let keep = |stream, line: &str| {
            if stream == Stream::Out {
                lines.push(line.to_owned());
            }
        };
        self.run(keep).await?;
        Ok(lines.join("\n"))
    }

    /// Runs it and passes each line of both streams to `on_line`.
    pub async fn each_line(self, mut on_line: impl FnMut(&str)) -> Result<(), CommandError> {
        self.run(|_, line| on_line(line)).await
    }

    async fn run(mut self, mut on_line: impl FnMut(Stream, &str)) -> Result<(), CommandError> {
        let program = self.path.display().to_string();
        let failed = |source| CommandError::Start { program: program.clone(), source };
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let group = ProcessGroup::of(&child);
        let mut stdout = lines(child.stdout.take()).map_err(failed)?;
        let mut stderr = lines(child.stderr.take()).map_err(failed)?;
        let mut out_tail = Tail::default();
        let mut err_tail = Tail::default();
        let mut out_open = true;
        let mut err_open = true;
        let mut status = None;
        while out_open || err_open || status.is_none() {
            tokio::select! {
                line = stdout.next_line(), if out_open => match line {
                    Ok(Some(line)) => { on_line(Stream::Out, &line); out_tail.keep(line); }
                    _ => out_open = false,
                },
                line = stderr.next_line(), if err_open => match line {
                    Ok(Some(line)) => { on_line(Stream::Err, &line); err_tail.keep(line); }
                    _ => err_open = false,
                },
                ended = child.wait(), if status.is_none() => status = Some(ended.map_err(failed)?),
                // A process that outlives the program (a postmaster) may hold the streams open forever.
                () = tokio::time::sleep(LINGER), if status.is_some() => break,
            }
        }
        let status = status.unwrap_or_default();
        group.has_ended();
        if status.success() {
            return Ok(());
        }
        // The order between the streams is lost: standard error comes last, where it is read first.
        let tail: Vec<_> = out_tail.0.into_iter().chain(err_tail.0).collect();
        Err(CommandError::Ended { program, status: status.to_string(), tail: redact(&tail.join("\n")) })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stream {
    Out,
    Err,
}

fn lines<R: AsyncRead + Unpin>(stream: Option<R>) -> io::Result<Lines<BufReader<R>>> {
    Ok(BufReader::new(stream.ok_or(io::ErrorKind::BrokenPipe)?).lines())
}

/// The process group of a running program. Abandoning the program (a timeout, a signal to the runner) kills all of it:
/// otherwise workers of `pg_upgrade` would continue to move files while its work is undone.
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
            tracing::warn!("failed to kill an abandoned program: {error}");
        }
    }
}

/// The last lines of a stream.
#[derive(Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn keep(&mut self, line: String) {
        if self.0.len() == TAIL {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_volume::Volume;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh".into()).arg("-c").arg(script)
    }

    #[tokio::test]
    async fn output_is_stdout_and_each_line_sees_both_streams() {
        let both = || shell("echo one; echo two >&2");
        let mut lines = Vec::new();
        both().each_line(|line| lines.push(line.to_owned())).await.unwrap();
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(both().output().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn failed_program_is_reported_with_status_and_last_lines() {
        let error = shell("seq 1 100; echo broken >&2; exit 3").output().await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("broken"), "{error}");
        assert!(!error.contains("\n10\n"), "{error}");
    }

    #[tokio::test]
    async fn failed_program_is_reported_without_values_of_users() {
        let script =
            "printf 'psql: ERROR:  x\\nDETAIL:  Key (email)=(ann@example.com) exists.\\n' >&2; exit 1";
        let error = shell(script).output().await.unwrap_err().to_string();
        assert!(error.contains("ERROR:  x") && !error.contains("ann@"), "{error}");
    }

    #[tokio::test]
    async fn program_does_not_inherit_our_environment() {
        let text = shell("env").output().await.unwrap();
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[tokio::test]
    async fn pg_ctl_waits_for_a_long_recovery() {
        let seconds: u32 = shell("echo $PGCTLTIMEOUT").output().await.unwrap().trim().parse().unwrap();
        assert!(seconds >= 3600);
    }

    #[tokio::test]
    async fn abandoned_program_leaves_no_running_child() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("beats");
        let script = format!("(while :; do echo beat >> {0}; sleep 0.02; done) & wait", file.display());
        let limit = Duration::from_millis(300);
        assert!(tokio::time::timeout(limit, shell(&script).output()).await.is_err());
        let beats = || std::fs::metadata(&file).unwrap().len();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = beats();
        assert!(before > 0);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(beats(), before);
    }

    #[tokio::test]
    async fn missing_program_is_named() {
        let error = Program::new("/nonexistent/initdb".into()).output().await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/initdb"), "{error}");
    }

    #[tokio::test]
    async fn interlock_is_kept_by_a_server_that_outlives_its_program() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::at(directory.path());
        let end = directory.path().join("end");
        assert!(std::process::Command::new("mkfifo").arg(&end).status().unwrap().success());
        let held = Interlock::try_take(&volume).unwrap().unwrap();
        let program = shell(&format!("(read line < {}) > /dev/null 2>&1 &", end.display()));
        program.holding(&held).unwrap().output().await.unwrap();
        drop(held);
        assert!(Interlock::try_take(&volume).unwrap().is_none());
        std::fs::write(&end, "\n").unwrap();
        while Interlock::try_take(&volume).unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
