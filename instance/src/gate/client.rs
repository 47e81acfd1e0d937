//! What runs in place of a gated program: asks PID 1, then executes the program of the image. One round trip, and no runtime: the
//! outage of an upgrade includes it.

use std::convert::Infallible;
use std::env::ArgsOs;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use command_fds::CommandFdExt;
use pgops_api::{display_chain, layout};
use pgops_volume::receive_descriptors;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::links::{IMAGE, SOCKET};
use super::message::{CloneStep, DONE, Message};
use super::program::Gated;
use super::request::{GRANTED, REFUSED, Request, RequestError};

/// Exit status of a program that was not executed. None of `PostgreSQL`'s programs has it.
const REFUSED_STATUS: u8 = 77;
/// Time that PID 1 may take. It answers in less, unless it is stopped.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest reason of a refusal, in bytes.
const MAX_REASON: u64 = 4096;

/// Why the program is not executed, or the step not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("failed to ask PID 1 at {}, which alone has programs started: is it running?", .socket.display())]
    Ask {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Refused(String),
    #[error("failed to ask PID 1: it has closed the connection without an answer")]
    NoAnswer,
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error("failed to find the programs of the image by {}", .link.display())]
    Image {
        link: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to execute {}", .program.display())]
    Execute {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The gated program as which this process was started, by the name that it was called by.
pub fn called_as(name: Option<&OsStr>) -> Option<Gated> {
    Gated::of_name(Path::new(name?).file_name()?)
}

/// Becomes the program, or says why not.
pub fn run(program: Gated, mut arguments: ArgsOs) -> ExitCode {
    let run_dir = run_dir(arguments.next().as_deref());
    ExitCode::from(become_program(&run_dir, &Request { program, arguments: arguments.collect() }))
}

/// The same, with the status.
pub(super) fn become_program(run_dir: &Path, request: &Request) -> u8 {
    let Err(error) = execute(run_dir, request);
    eprintln!("pgops: {}", display_chain(&error));
    REFUSED_STATUS
}

/// The directory of the container's files: that of the links, unless the name is not a path.
fn run_dir(name: Option<&OsStr>) -> PathBuf {
    let path = name.map(Path::new).filter(|path| path.is_absolute());
    path.and_then(|path| path.parent()?.parent()).unwrap_or(Path::new(layout::RUN_DIR)).to_owned()
}

fn execute(run_dir: &Path, request: &Request) -> Result<Infallible, ClientError> {
    let link = run_dir.join(IMAGE);
    let image = std::fs::read_link(&link).map_err(|source| ClientError::Image { link, source })?;
    // Not by the link: programs find their other files by their own path.
    let program = image.join(request.program.name());
    let mut command = Command::new(&program);
    // It is closed by the execution, which tells PID 1 of it.
    let _connection = if request.is_asked() {
        let message = Message::Execute(request.clone());
        let Answer::Granted { descriptors, connection } = ask(run_dir, &message, TIMEOUT)? else {
            return Err(ClientError::NoAnswer);
        };
        command.args(request.bound_arguments()).preserved_fds(descriptors);
        Some(connection)
    } else {
        command.args(&request.arguments);
        None
    };
    Err(ClientError::Execute { source: command.exec(), program })
}

/// Has PID 1 do a step of a clone.
pub fn perform(run_dir: &Path, step: CloneStep) -> Result<(), ClientError> {
    let message = Message::Clone(step);
    match ask(run_dir, &message, message.timeout() + TIMEOUT)? {
        Answer::Done => Ok(()),
        Answer::Granted { .. } => Err(ClientError::NoAnswer),
    }
}

/// The answer of PID 1, if it is not a refusal.
enum Answer {
    Granted { descriptors: Vec<OwnedFd>, connection: UnixStream },
    Done,
}

fn ask(run_dir: &Path, message: &Message, limit: Duration) -> Result<Answer, ClientError> {
    let bytes = message.encode()?;
    let socket = run_dir.join(SOCKET);
    let failed = |source| ClientError::Ask { socket: socket.clone(), source };
    let mut connection = connect_to(&socket, limit).map_err(failed)?;
    let mut answer = [0; 1];
    let mut talk = || {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        connection.write_all(&[length.to_be_bytes().as_slice(), &bytes].concat())?;
        receive_descriptors(&connection, &mut answer)
    };
    let (received, descriptors) = talk().map_err(failed)?;
    match (received, answer) {
        (1, [GRANTED]) if !descriptors.is_empty() => Ok(Answer::Granted { descriptors, connection }),
        (1, [DONE]) => Ok(Answer::Done),
        (1, [REFUSED]) => {
            let mut reason = Vec::new();
            connection.take(MAX_REASON).read_to_end(&mut reason).map_err(failed)?;
            Err(ClientError::Refused(String::from_utf8_lossy(&reason).into_owned()))
        }
        _ => Err(ClientError::NoAnswer),
    }
}

/// A connection on which nothing waits for longer than the limit. If PID 1 accepts none, connecting waits too.
fn connect_to(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for direction in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&socket, direction, Some(limit))?;
    }
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}
