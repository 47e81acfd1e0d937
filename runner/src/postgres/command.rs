//! Runs `PostgreSQL`'s programs: in an environment of our own, with their output at hand.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How many of the last lines of each stream an error carries.
const TAIL: usize = 15;
/// How long to read on after a program's end from streams that stay open without a word.
const LINGER: Duration = Duration::from_millis(500);

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
            // The runner's own end must not leave a program at work on the data.
            .kill_on_drop(true);
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

    /// Sets its working directory.
    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Runs it to its end and gives what it printed.
    pub async fn output(self) -> Result<String, CommandError> {
        let mut lines = Vec::new();
        self.each_line(|line| lines.push(line.to_owned())).await?;
        Ok(lines.join("\n"))
    }

    /// Runs it to its end and hands over each line that it prints, of both streams.
    pub async fn each_line(mut self, mut seen: impl FnMut(&str)) -> Result<(), CommandError> {
        let program = self.path.display().to_string();
        let failed = |source| CommandError::Start { program: program.clone(), source };
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
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
                    Ok(Some(line)) => { seen(&line); said.keep(line); }
                    _ => open_out = false,
                },
                line = stderr.next_line(), if open_err => match line {
                    Ok(Some(line)) => { seen(&line); complained.keep(line); }
                    _ => open_err = false,
                },
                ended = child.wait(), if status.is_none() => status = Some(ended.map_err(failed)?),
                // Something that outlives the program (a postmaster) may hold the streams open for ever.
                () = tokio::time::sleep(LINGER), if status.is_some() => break,
            }
        }
        let status = status.unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        // The order between the streams is lost: what was complained of comes last, where it is read first.
        let tail: Vec<_> = said.0.into_iter().chain(complained.0).collect();
        Err(CommandError::Ended { program, status: status.to_string(), tail: tail.join("\n") })
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
    async fn output_of_both_streams_is_seen() {
        let text = shell("echo one; echo two >&2").output().await.unwrap();
        assert!(text.contains("one") && text.contains("two"), "{text}");
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
    async fn a_missing_program_is_named() {
        let error = Program::new("/nonexistent/initdb".into()).output().await.unwrap_err();
        assert!(error.to_string().contains("/nonexistent/initdb"), "{error}");
    }
}
