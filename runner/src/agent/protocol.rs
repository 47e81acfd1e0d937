//! What the runner asks an agent to do, and what it answers.
//!
//! Every request has a channel of its own: closing it abandons the request. The first channel begins a session;
//! it stays open, and with it ends everything that the session has started.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::postgres::program::installation::{Installation, InstallationError};
use crate::postgres::program::offer::Offer;

/// Version of this protocol. Both ends are the same program, unless an image was tampered with.
pub const VERSION: u32 = 4;
/// The largest message, in bytes. An agent that sends a larger one is cut off.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The longest line of a program's output that is passed on, in bytes; the rest of the line is left out.
pub const MAX_LINE: usize = 64 << 10;
/// How often an agent says that it is at work on a request.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// A request of the runner.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Request {
    /// Begins a session: no process of an earlier one is left when it is answered by [`Response::Begun`].
    Begin { version: u32 },
    /// To be done within the session that has begun.
    Perform(Task),
}

/// What an agent does within a session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Task {
    /// Runs a program; answered by any number of [`Response::Output`], then by [`Response::Ended`].
    Run(Command),
    /// Connects to the socket of a server in the agent's container. The connection's descriptor, or that there is none, comes
    /// before the answer, which is [`Response::Connected`].
    Connect {
        socket: PathBuf,
    },
    /// Stops the server of a data directory, if one runs in the agent's container.
    StopServer {
        pgdata: PathBuf,
    },
    /// Kills every process of the session, whatever started it.
    KillAll,
    /// How many processors the container may use; answered by [`Response::Count`].
    CountProcessors,
    Image(ImageTask),
    Files(FileTask),
}

/// A question about the image of the agent's container.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum ImageTask {
    /// Finds the installation of a major version below `root`; answered by [`Response::Installation`].
    FindInstallation { root: PathBuf, major: u32 },
    /// Which of these libraries an installation has; answered by [`Response::Found`], in the same order.
    HasLibraries { installation: Installation, libraries: Vec<String> },
    /// Which of these options of columns the server knows; answered by [`Response::Found`], in the same order.
    KnowsOptions { installation: Installation, options: Vec<String> },
    /// What extensions an installation offers; answered by [`Response::Offer`].
    Offer { installation: Installation },
}

/// Something to do with files of the agent's container.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum FileTask {
    /// Counts the entries of a directory; answered by [`Response::Names`].
    ListDirectory { path: PathBuf },
    /// Reads a text file; answered by [`Response::Text`].
    ReadFile { path: PathBuf },
    /// Writes a file, and creates its directory.
    WriteFile { path: PathBuf, content: String },
    /// Creates a directory, after removing it with all that it contains.
    EmptyDirectory { path: PathBuf },
    /// Removes a directory with all that it contains, if it exists.
    RemoveDirectory { path: PathBuf },
    /// Creates a directory with links to the programs of `bindir`, but with the wrapper in place of `pg_dump`.
    LinkPrograms { bindir: PathBuf, into: PathBuf },
    /// What the logs in these directories say about a failure; answered by [`Response::Logs`].
    ReadLogs { directories: Vec<PathBuf> },
}

/// A program to run.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Command {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
    pub current_dir: Option<PathBuf>,
    /// Whether it holds the interlock, whose descriptor comes with the request.
    pub holds_interlock: bool,
}

/// One of a program's output streams.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Stream {
    Out,
    Err,
}

/// How a program has ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exit {
    pub success: bool,
    /// The exit status or the signal, as text.
    pub status: String,
}

/// The process that listens at a server's socket.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerProcess {
    pub pid: i32,
    /// When it was started, in ticks since the boot: other processes may have the same number afterwards.
    pub started: u64,
}

/// What the logs of `pg_upgrade` say.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Logs {
    /// The rejected objects, else the first error of each log.
    pub details: Option<String>,
    /// The end of each log, under its name.
    pub logs: String,
}

/// An answer of an agent.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Response {
    Begun {
        version: u32,
    },
    /// The request is not carried out yet. Any number of these may come before an answer.
    AtWork,
    Output {
        stream: Stream,
        line: String,
    },
    Ended(Exit),
    /// The request was carried out, and has no other answer.
    Done,
    Installation(Result<Installation, InstallationError>),
    Found(Vec<bool>),
    Count(usize),
    Connected(ServerProcess),
    Offer(Offer),
    Names(Vec<String>),
    Text(String),
    Logs(Logs),
    /// The request could not be carried out: the error as text.
    Failed(String),
}
