//! Programs of `PostgreSQL`, which an agent runs in an environment of their own, and their output.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use pgops_volume::Interlock;

use crate::agent::protocol::{Command, Exit, Response, Stream, Task};
use crate::agent::{Agent, AgentError};
use crate::postgres::redact::redact;

/// Number of last lines of each stream that an error carries.
const TAIL: usize = 15;
/// The longest output of a program that is read, in bytes: more is not from a program that does what it was told.
const MAX_OUTPUT: usize = 64 << 20;
/// The same if only its lines are looked at: a restore names each of a million objects.
const MAX_LINES: usize = 1 << 30;

/// A program could not be started, or failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("failed to run {program}")]
    Agent {
        program: String,
        #[source]
        source: AgentError,
    },
    #[error("{program} failed with {status}: {tail}")]
    Ended {
        program: String,
        /// The exit status or the signal, as text.
        status: String,
        /// The last lines of its output, redacted.
        tail: String,
    },
    #[error("{program} has written more than {} MiB", .limit >> 20)]
    TooMuchOutput {
        program: String,
        /// In bytes.
        limit: usize,
    },
}

/// A program to run. Only the variables that are named here reach it, not the container's environment: `PGHOST`,
/// `PGOPTIONS`, `PGSERVICE` and the like would change what it does.
#[derive(Debug)]
pub struct Program {
    agent: Agent,
    command: Command,
    interlock: Option<OwnedFd>,
}

impl Program {
    /// The program at `path`, with its own directory first on `PATH`.
    #[must_use]
    pub fn new(agent: &Agent, path: &Path) -> Self {
        let bindir = path.parent().unwrap_or(Path::new("/")).display();
        let variables = [
            ("PATH", format!("{bindir}:/usr/local/bin:/usr/bin:/bin")),
            // It does not exist, so no .pgpass or .psqlrc is read from it.
            ("HOME", "/nonexistent".to_owned()),
            ("LC_ALL", "C".to_owned()),
            // A long crash recovery is not a failure: pg_ctl's default limit is 60 s.
            ("PGCTLTIMEOUT", "86400".to_owned()),
        ];
        let command = Command {
            program: path.to_owned(),
            arguments: Vec::new(),
            environment: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            current_dir: None,
            holds_interlock: false,
        };
        Self { agent: agent.clone(), command, interlock: None }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.command.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn path(self, path: &Path) -> Self {
        self.arg(path.display().to_string())
    }

    #[must_use]
    pub fn args<I: Into<String>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.command.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Passes the interlock to it, to hold as long as it or any of its children lives.
    pub fn holding(mut self, interlock: &Interlock) -> io::Result<Self> {
        self.interlock = Some(interlock.cloexec_fd()?);
        self.command.holds_interlock = true;
        Ok(self)
    }

    #[must_use]
    pub fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir = Some(directory.to_owned());
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
        self.run(MAX_OUTPUT, keep).await?;
        Ok(lines.join("\n"))
    }

    /// Runs it and passes each line of both streams to `on_line`.
    pub async fn each_line(self, mut on_line: impl FnMut(&str)) -> Result<(), CommandError> {
        self.run(MAX_LINES, |_, line| on_line(line)).await
    }

    /// Abandoning it (a timeout, a cancel) kills all of its processes.
    async fn run(self, limit: usize, mut on_line: impl FnMut(Stream, &str)) -> Result<(), CommandError> {
        let Self { agent, command, interlock } = self;
        let program = command.program.display().to_string();
        let failed = |source| CommandError::Agent { program: program.clone(), source };
        let mut connection = agent.request(Task::Run(command), interlock.as_ref()).await.map_err(failed)?;
        let mut out_tail = Tail::default();
        let mut err_tail = Tail::default();
        let mut bytes = 0;
        let Exit { success, status } = loop {
            match agent.answer(&mut connection).await.map_err(failed)? {
                Response::Output { stream, line } => {
                    bytes += line.len();
                    if bytes > limit {
                        return Err(CommandError::TooMuchOutput { program, limit });
                    }
                    on_line(stream, &line);
                    match stream {
                        Stream::Out => out_tail.keep(line),
                        Stream::Err => err_tail.keep(line),
                    }
                }
                Response::AtWork => {}
                Response::Ended(exit) => break exit,
                _ => return Err(failed(agent.unexpected())),
            }
        };
        if success {
            return Ok(());
        }
        // The order between the streams is lost: standard error comes last, where it is read first.
        let tail: Vec<_> = out_tail.0.into_iter().chain(err_tail.0).collect();
        Err(CommandError::Ended { program, status, tail: redact(&tail.join("\n")) })
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
    use std::time::Duration;

    use pgops_volume::Volume;

    use crate::agent::protocol::MAX_LINE;
    use crate::worker::agent::tests::TestAgent;

    fn shell(agent: &TestAgent, script: &str) -> Program {
        Program::new(&agent.client, Path::new("/bin/sh")).arg("-c").arg(script)
    }

    #[tokio::test]
    async fn output_is_stdout_and_each_line_sees_both_streams() {
        let agent = TestAgent::start();
        let both = || shell(&agent, "echo one; echo two >&2");
        let mut lines = Vec::new();
        both().each_line(|line| lines.push(line.to_owned())).await.unwrap();
        lines.sort();
        assert_eq!(lines, ["one", "two"]);
        assert_eq!(both().output().await.unwrap(), "one");
    }

    #[tokio::test]
    async fn failed_program_is_reported_with_status_and_last_lines() {
        let agent = TestAgent::start();
        let program = shell(&agent, "seq 1 100; echo broken >&2; exit 3");
        let error = program.output().await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("broken"), "{error}");
        assert!(!error.contains("\n10\n"), "{error}");
    }

    /// More than a pipe holds follows the bytes: a reader that had stopped at them would leave the program waiting for ever.
    #[tokio::test]
    async fn output_that_is_not_utf8_is_shown_lossily_and_read_to_its_end() {
        let agent = TestAgent::start();
        let script = "printf 'ERROR:  gr\\374\\337e\\n' >&2; printf '\\377\\376\\n'; \
                      i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); printf '%0100d\\n' 0; printf '%0100d\\n' 0 >&2; done; \
                      printf 'last \\300'; printf 'ERROR:  end \\200\\n' >&2; exit 3";
        let mut lines = Vec::new();
        let run = shell(&agent, script).each_line(|line| lines.push(line.to_owned()));
        let limit = Duration::from_mins(1);
        let error = tokio::time::timeout(limit, run).await.unwrap().unwrap_err().to_string();
        assert_eq!(lines.len(), 6004);
        for line in ["ERROR:  gr\u{fffd}\u{fffd}e", "\u{fffd}\u{fffd}", "last \u{fffd}"] {
            assert!(lines.iter().any(|read| read == line), "{line}");
        }
        assert!(error.contains("exit status: 3") && error.contains("ERROR:  end \u{fffd}"), "{error}");
    }

    /// Escaped in JSON, or replaced, a byte takes up to six: a line must still fit into a message.
    #[tokio::test]
    async fn very_long_line_of_any_bytes_is_cut_and_the_next_line_follows() {
        let agent = TestAgent::start();
        for byte in ["\\001", "\\377"] {
            let script = format!("head -c 5000000 /dev/zero | tr '\\0' '{byte}'; echo; echo next");
            let mut lines = Vec::new();
            shell(&agent, &script).each_line(|line| lines.push(line.to_owned())).await.unwrap();
            assert_eq!(lines.len(), 2);
            assert!((1..=3 * MAX_LINE).contains(&lines[0].len()), "{}", lines[0].len());
            assert_eq!(lines[1], "next");
        }
    }

    #[tokio::test]
    async fn failed_program_is_reported_without_values_of_users() {
        let script =
            "printf 'psql: ERROR:  x\\nDETAIL:  Key (email)=(ann@example.com) exists.\\n' >&2; exit 1";
        let agent = TestAgent::start();
        let error = shell(&agent, script).output().await.unwrap_err().to_string();
        assert!(error.contains("ERROR:  x") && !error.contains("ann@"), "{error}");
    }

    #[tokio::test]
    async fn program_does_not_inherit_our_environment() {
        let agent = TestAgent::start();
        let text = shell(&agent, "env").output().await.unwrap();
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[tokio::test]
    async fn pg_ctl_waits_for_a_long_recovery() {
        let agent = TestAgent::start();
        let seconds = shell(&agent, "echo $PGCTLTIMEOUT").output().await.unwrap();
        assert!(seconds.trim().parse::<u32>().unwrap() >= 3600);
    }

    #[tokio::test]
    async fn abandoned_program_leaves_no_running_child() {
        let agent = TestAgent::start();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("beats");
        let script = format!("(while :; do echo beat >> {0}; sleep 0.02; done) & wait", file.display());
        let beats = || std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
        let first_beat = async {
            while beats() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ended = shell(&agent, &script).output() => panic!("the program has ended: {ended:?}"),
            () = first_beat => {}
        }
        let stopped = async {
            let mut last = 0;
            while last != beats() {
                last = beats();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), stopped).await.expect("the child still runs");
    }

    #[tokio::test]
    async fn missing_program_is_named() {
        let agent = TestAgent::start();
        let program = Program::new(&agent.client, Path::new("/nonexistent/initdb"));
        let error = pgops_api::display_chain(&program.output().await.unwrap_err());
        assert!(error.contains("/nonexistent/initdb"), "{error}");
    }

    #[tokio::test]
    async fn interlock_is_kept_by_a_server_that_outlives_its_program() {
        let agent = TestAgent::start();
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::at(directory.path());
        let end = directory.path().join("end");
        assert!(std::process::Command::new("mkfifo").arg(&end).status().unwrap().success());
        let held = Interlock::try_take(&volume).unwrap().unwrap();
        let program = shell(&agent, &format!("(read line < {}) > /dev/null 2>&1 &", end.display()));
        program.holding(&held).unwrap().output().await.unwrap();
        drop(held);
        assert!(Interlock::try_take(&volume).unwrap().is_none());
        std::fs::write(&end, "\n").unwrap();
        while Interlock::try_take(&volume).unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
