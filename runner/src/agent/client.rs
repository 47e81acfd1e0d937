//! The runner's end: requests to one agent.
//!
//! An agent that is lost, or does not say within a time limit that it is at work, is not asked again: the attempt of this pod
//! ends with it.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::connection::Connection;
use super::control::Control;
use super::descriptors::into_stream;
use super::protocol::{
    FileTask, HEARTBEAT, ImageTask, Logs, Request, Response, ServerProcess, Task, VERSION,
};
use crate::postgres::program::installation::{Installation, InstallationError};
use crate::postgres::program::offer::Offer;

/// How long an agent may say nothing while it works on a request.
const SILENCE_LIMIT: Duration = HEARTBEAT.saturating_mul(6);
/// How long it may work on a request for which [`limit`] has no other rule.
const WORK_LIMIT: Duration = Duration::from_mins(2);

/// An agent did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("container \"{container}\" of this pod has ended, or sent an invalid answer; see its log")]
    Lost {
        container: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("container \"{container}\" of this pod has not answered for {} s; see its log", .limit.as_secs())]
    Silent { container: &'static str, limit: Duration },
    #[error("container \"{container}\" of this pod gave no answer that fits the request")]
    Unexpected { container: &'static str },
    #[error("container \"{container}\" of this pod speaks version {version} of the protocol, not {VERSION}")]
    Version { container: &'static str, version: u32 },
    #[error("this pod has no container \"{container}\": only the launcher creates it")]
    Missing { container: &'static str },
    #[error("{message}")]
    Failed { message: String },
    #[error("{0}")]
    Installation(#[from] InstallationError),
}

impl AgentError {
    /// The agent's container, if it cannot be asked any more: only another pod has one that can.
    #[must_use]
    pub fn lost_container(&self) -> Option<&'static str> {
        match self {
            Self::Lost { container, .. }
            | Self::Silent { container, .. }
            | Self::Unexpected { container } => Some(container),
            _ => None,
        }
    }
}

/// A handle of the agent in one container. Clones share its session, which begins with the first request.
#[derive(Clone)]
pub struct Agent(Arc<Shared>);

struct Shared {
    container: &'static str,
    control: Control,
    session: Mutex<Option<Connection>>,
    is_lost: AtomicBool,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.0.container).finish()
    }
}

/// How long a task may take in all. There is none for what takes as long as it takes: it is enough that the agent says that
/// it is at work.
fn limit(task: &Task) -> Option<Duration> {
    match task {
        Task::Run(_) | Task::Files(FileTask::EmptyDirectory { .. } | FileTask::RemoveDirectory { .. }) => {
            None
        }
        _ => Some(WORK_LIMIT),
    }
}

impl Agent {
    /// The agent of a container, over the connection that was opened before code of users could run there.
    #[must_use]
    pub fn new(container: &'static str, control: Control) -> Self {
        let is_lost = AtomicBool::new(false);
        Self(Arc::new(Shared { container, control, session: Mutex::new(None), is_lost }))
    }

    /// Sends a task, after beginning a session if there is none; returns the channel of the answers.
    pub async fn request(&self, task: Task, descriptor: Option<&OwnedFd>) -> Result<Connection, AgentError> {
        let send = async {
            self.ensure_session().await?;
            let mut connection = self.0.control.open(descriptor).await.map_err(self.lost())?;
            connection.send(&Request::Perform(task)).await.map_err(self.lost())?;
            Ok(connection)
        };
        self.within(WORK_LIMIT, send).await
    }

    /// The next answer to a request, or [`Response::AtWork`].
    pub async fn answer(&self, connection: &mut Connection) -> Result<Response, AgentError> {
        self.within(SILENCE_LIMIT, self.receive(connection)).await
    }

    /// The error of an answer that does not fit the request.
    #[must_use]
    pub fn unexpected(&self) -> AgentError {
        self.give_up();
        AgentError::Unexpected { container: self.0.container }
    }

    async fn receive(&self, connection: &mut Connection) -> Result<Response, AgentError> {
        match connection.receive().await.map_err(self.lost())? {
            Some(Response::Failed(message)) => Err(AgentError::Failed { message }),
            Some(response) => Ok(response),
            None => Err(self.ended()),
        }
    }

    /// Begins a session, which no other follows: the agent ends it only with itself.
    async fn ensure_session(&self) -> Result<(), AgentError> {
        if self.0.is_lost.load(Ordering::Relaxed) {
            return Err(self.ended());
        }
        let mut session = self.0.session.lock().await;
        if let Some(connection) = session.as_mut() {
            return if connection.is_closed() { Err(self.ended()) } else { Ok(()) };
        }
        let mut connection = self.0.control.open(None).await.map_err(self.lost())?;
        connection.send(&Request::Begin { version: VERSION }).await.map_err(self.lost())?;
        match self.receive(&mut connection).await? {
            Response::Begun { version: VERSION } => *session = Some(connection),
            Response::Begun { version } => {
                return Err(AgentError::Version { container: self.0.container, version });
            }
            _ => return Err(self.unexpected()),
        }
        Ok(())
    }

    /// Fails if the agent is lost, which is noticed without a request once a session has begun.
    pub async fn check_session(&self) -> Result<(), AgentError> {
        let has_ended = self.0.session.lock().await.as_mut().is_some_and(Connection::is_closed);
        if has_ended || self.0.is_lost.load(Ordering::Relaxed) { Err(self.ended()) } else { Ok(()) }
    }

    fn give_up(&self) {
        self.0.is_lost.store(true, Ordering::Relaxed);
    }

    fn lost(&self) -> impl Fn(io::Error) -> AgentError + Copy {
        move |source| {
            self.give_up();
            AgentError::Lost { container: self.0.container, source }
        }
    }

    fn ended(&self) -> AgentError {
        self.lost()(io::ErrorKind::UnexpectedEof.into())
    }

    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            self.give_up();
            Err(AgentError::Silent { container: self.0.container, limit })
        })
    }

    async fn call(&self, task: Task) -> Result<Response, AgentError> {
        let limit = limit(&task);
        let work = async {
            let mut connection = self.request(task, None).await?;
            self.result(&mut connection).await
        };
        match limit {
            Some(limit) => self.within(limit, work).await,
            None => work.await,
        }
    }

    /// The answer to a request that has only one.
    async fn result(&self, connection: &mut Connection) -> Result<Response, AgentError> {
        loop {
            match self.answer(connection).await? {
                Response::AtWork => {}
                response => return Ok(response),
            }
        }
    }

    async fn done(&self, task: Task) -> Result<(), AgentError> {
        match self.call(task).await? {
            Response::Done => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// Connects to the server that listens at `socket` in the agent's container, and tells which process that is.
    pub async fn connect_server(&self, socket: PathBuf) -> Result<(UnixStream, ServerProcess), AgentError> {
        let work = async {
            let mut connection = self.request(Task::Connect { socket }, None).await?;
            let descriptor = connection.receive_descriptor().await.map_err(self.lost())?;
            match (self.result(&mut connection).await?, descriptor) {
                (Response::Connected(process), Some(descriptor)) => {
                    Ok((into_stream(descriptor).map_err(self.lost())?, process))
                }
                _ => Err(self.unexpected()),
            }
        };
        self.within(SILENCE_LIMIT, work).await
    }

    /// Stops the server of a data directory, if one runs in the container.
    pub async fn stop_server(&self, pgdata: PathBuf) -> Result<(), AgentError> {
        self.done(Task::StopServer { pgdata }).await
    }

    /// Finds the installation of a major version below `root`.
    pub async fn find_installation(&self, root: &Path, major: u32) -> Result<Installation, AgentError> {
        match self.call(Task::Image(ImageTask::FindInstallation { root: root.to_owned(), major })).await? {
            Response::Installation(found) => Ok(found?),
            _ => Err(self.unexpected()),
        }
    }

    /// Which of `libraries` an installation has.
    pub async fn has_libraries(
        &self,
        installation: &Installation,
        libraries: Vec<String>,
    ) -> Result<Vec<bool>, AgentError> {
        let count = libraries.len();
        let installation = installation.clone();
        self.found(ImageTask::HasLibraries { installation, libraries }, count).await
    }

    /// Which of `options` of columns an installation's server knows.
    pub async fn knows_options(
        &self,
        installation: &Installation,
        options: Vec<String>,
    ) -> Result<Vec<bool>, AgentError> {
        let count = options.len();
        let installation = installation.clone();
        self.found(ImageTask::KnowsOptions { installation, options }, count).await
    }

    async fn found(&self, task: ImageTask, count: usize) -> Result<Vec<bool>, AgentError> {
        match self.call(Task::Image(task)).await? {
            Response::Found(found) if found.len() == count => Ok(found),
            _ => Err(self.unexpected()),
        }
    }

    /// The extensions that an installation offers.
    pub async fn offer(&self, installation: &Installation) -> Result<Offer, AgentError> {
        match self.call(Task::Image(ImageTask::Offer { installation: installation.clone() })).await? {
            Response::Offer(offer) => Ok(offer),
            _ => Err(self.unexpected()),
        }
    }

    /// The names of a directory's entries.
    pub async fn list_directory(&self, path: PathBuf) -> Result<Vec<String>, AgentError> {
        match self.call(Task::Files(FileTask::ListDirectory { path })).await? {
            Response::Names(names) => Ok(names),
            _ => Err(self.unexpected()),
        }
    }

    /// The content of a text file.
    pub async fn read_file(&self, path: PathBuf) -> Result<String, AgentError> {
        match self.call(Task::Files(FileTask::ReadFile { path })).await? {
            Response::Text(text) => Ok(text),
            _ => Err(self.unexpected()),
        }
    }

    /// Writes a file.
    pub async fn write_file(&self, path: PathBuf, content: String) -> Result<(), AgentError> {
        self.done(Task::Files(FileTask::WriteFile { path, content })).await
    }

    /// Creates an empty directory, after removing what exists at that path.
    pub async fn empty_directory(&self, path: PathBuf) -> Result<(), AgentError> {
        self.done(Task::Files(FileTask::EmptyDirectory { path })).await
    }

    /// Removes a directory, if it exists.
    pub async fn remove_directory(&self, path: PathBuf) -> Result<(), AgentError> {
        self.done(Task::Files(FileTask::RemoveDirectory { path })).await
    }

    /// Creates `into` with links to the programs of `bindir`, but with the wrapper in place of `pg_dump`.
    pub async fn link_programs(&self, bindir: PathBuf, into: PathBuf) -> Result<(), AgentError> {
        self.done(Task::Files(FileTask::LinkPrograms { bindir, into })).await
    }

    /// What the logs of `pg_upgrade` say about its failure.
    pub async fn read_logs(&self, directories: Vec<PathBuf>) -> Result<Logs, AgentError> {
        match self.call(Task::Files(FileTask::ReadLogs { directories })).await? {
            Response::Logs(logs) => Ok(logs),
            _ => Err(self.unexpected()),
        }
    }

    /// How many processors the container may use, by its limit: another one than that of the runner's container.
    pub async fn processors(&self) -> Result<usize, AgentError> {
        match self.call(Task::CountProcessors).await? {
            Response::Count(count) => Ok(count.max(1)),
            _ => Err(self.unexpected()),
        }
    }

    /// Kills every process that the session has left in the container.
    pub async fn kill_all(&self) -> Result<(), AgentError> {
        self.done(Task::KillAll).await
    }
}
