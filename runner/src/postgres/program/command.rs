//! Runs `PostgreSQL`'s programs: in an environment of our own, with their output at hand.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::postgres::interlock::Interlock;
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How many of the last lines of each stream an error carries.
const TAIL: usize = 15;
/// How long to read on after a program's end from streams that stay open without a word.
const LINGER: Duration = Duration::from_millis(500);

/// The descriptor by which a program holds the interlock: the first behind the three standard ones.
const INTERLOCK_FD: i32 = 3;

/// A program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It could not be started.
    #[error("failed to start {program}")]
    Start {
        /// The program.
        program: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It ended with an error.
    #[error("{program} ended with {status}: {tail}")]
    Ended {
        /// The program.
        program: String,
        /// Its exit status, or the signal.
        status: String,
        /// Its last lines.
        tail: String,
    },
}

/// A program to run. Nothing of the container's environment reaches it but what is named here:
/// `PGHOST`, `PGOPTIONS`, `PGSERVICE` and their like would change what it does.
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
            .env("HOME", "/tmp")
            .env("LC_ALL", "C")
            // A long crash recovery is no failure: pg_ctl's own limit is 60 s.
            .env("PGCTLTIMEOUT", "86400")
            .stdin(Stdio::null())
            // Its children too can be reached by one signal, see `Group`.
            .process_group(0);
        Self { path, command }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
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

    /// Gives it the interlock, to keep as long as it or any of its children lives.
    pub fn holding(mut self, interlock: &Interlock) -> io::Result<Self> {
        let mapping = FdMapping { parent_fd: interlock.descriptor()?, child_fd: INTERLOCK_FD };
        self.command.fd_mappings(vec![mapping]).map_err(|_| io::ErrorKind::AlreadyExists)?;
        Ok(self)
    }

    /// Sets its working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it to its end and gives what it printed as its result, without what it remarked beside.
    pub async fn output(self) -> Result<String, CommandError> {
        let mut lines = Vec::new();
        let result = |from, line: &str| {
            if from == Stream::Out {
                lines.push(line.to_owned());
            }
        };
        self.run(result).await?;
        Ok(lines.join("\n"))
    }

    /// Runs it to its end and hands over each line that it prints, of both streams.
    pub async fn each_line(self, mut seen: impl FnMut(&str)) -> Result<(), CommandError> {
        self.run(|_, line| seen(line)).await
    }

    async fn run(mut self, mut seen: impl FnMut(Stream, &str)) -> Result<(), CommandError> {
        let program = self.path.display().to_string();
        let failed = |source| CommandError::Start { program: program.clone(), source };
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let (mut stdout, mut stderr) = (
            BufReader::new(child.stdout.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?)
                .lines(),
            BufReader::new(child.stderr.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?)
                .lines(),
        );
        let (mut said, mut complained) = (Tail::default(), Tail::default());
        let mut status = None;
        let (mut open_out, mut open_err) = (true, true);
        while open_out || open_err || status.is_none() {
            tokio::select! {
                line = stdout.next_line(), if open_out => match line {
                    Ok(Some(line)) => { seen(Stream::Out, &line); said.keep(line); }
                    _ => open_out = false,
                },
                line = stderr.next_line(), if open_err => match line {
                    Ok(Some(line)) => { seen(Stream::Err, &line); complained.keep(line); }
                    _ => open_err = false,
                },
                ended = child.wait(), if status.is_none() => status = Some(ended.map_err(failed)?),
                // Something that outlives the program (a postmaster) may hold the streams open for ever.
                () = tokio::time::sleep(LINGER), if status.is_some() => break,
            }
        }
        let status = status.unwrap_or_default();
        group.has_ended();
        if status.success() {
            return Ok(());
        }
        // The order between the streams is lost: what was complained of comes last, where it is read first.
        let tail: Vec<_> = said.0.into_iter().chain(complained.0).collect();
        Err(CommandError::Ended { program, status: status.to_string(), tail: tail.join("\n") })
    }
}

/// Where a line was printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stream {
    Out,
    Err,
}

/// The process group of a program at work. Giving up on the program (a time limit, a signal to the
/// runner) kills all of it: workers of `pg_upgrade` would go on moving files while its work is undone.
struct Group(Option<Pid>);

impl Group {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.map(|pid| kill_process_group(pid, Signal::KILL)) {
            tracing::warn!("failed to kill a program that was given up: {error}");
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

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh".into()).arg("-c").arg(script)
    }

    #[tokio::test]
    async fn lines_of_both_streams_are_seen_and_only_one_is_the_result() {
        let both = || shell("echo one; echo two >&2");
        let mut lines = Vec::new();
        both().each_line(|line| lines.push(line.to_owned())).await.unwrap();
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(both().output().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn a_failure_carries_the_status_and_the_last_lines() {
        let error = shell("seq 1 100; echo broken >&2; exit 3").output().await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("broken"), "{error}");
        assert!(!error.contains("\n10\n"), "{error}");
    }

    #[tokio::test]
    async fn nothing_of_our_environment_reaches_the_program() {
        let text = shell("env").output().await.unwrap();
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[tokio::test]
    async fn pg_ctl_waits_for_a_long_recovery() {
        let seconds: u32 = shell("echo $PGCTLTIMEOUT").output().await.unwrap().trim().parse().unwrap();
        assert!(seconds >= 3600);
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_leaves_no_child_at_work() {
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
    async fn a_missing_program_is_named() {
        let error = Program::new("/nonexistent/initdb".into()).output().await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/initdb"), "{error}");
    }
}
