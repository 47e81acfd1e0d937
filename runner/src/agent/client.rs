//! The runner's end: requests to one agent.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use tokio::sync::Mutex;

use super::connection::Connection;
use super::protocol::{FileTask, ImageTask, Logs, Request, Response, Task, VERSION};
use super::socket;
use crate::postgres::program::installation::{Installation, InstallationError};
use crate::postgres::program::offer::Offer;

/// How often, and how many times, to look for an agent: its container has been started before the runner's, or the
/// kubelet is starting it again.
const CONNECT_INTERVAL: Duration = Duration::from_millis(100);
const CONNECT_ATTEMPTS: usize = 600;

/// An agent did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("failed to connect to container \"{container}\" of this pod; did it start?")]
    Connect {
        container: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("container \"{container}\" of this pod has ended, or sent an invalid answer; see its log")]
    Lost {
        container: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("container \"{container}\" of this pod gave no answer that fits the request")]
    Unexpected { container: &'static str },
    #[error("container \"{container}\" of this pod speaks version {version} of the protocol, not {VERSION}")]
    Version { container: &'static str, version: u32 },
    #[error("{message}")]
    Failed { message: String },
    #[error("{0}")]
    Installation(#[from] InstallationError),
}

impl AgentError {
    /// The agent's container, if it has ended: the kubelet starts it again.
    #[must_use]
    pub fn lost_container(&self) -> Option<&'static str> {
        match self {
            Self::Lost { container, .. } | Self::Connect { container, .. } => Some(container),
            _ => None,
        }
    }
}

/// A handle of the agent in one container. Clones share its session, which begins with the first request.
#[derive(Clone)]
pub struct Agent(Arc<Shared>);

struct Shared {
    container: &'static str,
    socket: PathBuf,
    session: Mutex<Option<Connection>>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Agent").field(&self.0.container).finish()
    }
}

impl Agent {
    /// The agent of a container, which listens on `socket`.
    #[must_use]
    pub fn new(container: &'static str, socket: PathBuf) -> Self {
        Self(Arc::new(Shared { container, socket, session: Mutex::new(None) }))
    }

    /// Sends a task, after beginning a session if there is none; returns the connection with the answers.
    pub async fn request(&self, task: Task, descriptor: Option<&OwnedFd>) -> Result<Connection, AgentError> {
        self.ensure_session().await?;
        let mut connection = self.connect(descriptor).await?;
        connection.send(&Request::Perform(task)).await.map_err(self.lost())?;
        Ok(connection)
    }

    /// The next answer to a request.
    pub async fn answer(&self, connection: &mut Connection) -> Result<Response, AgentError> {
        match connection.receive().await.map_err(self.lost())? {
            Some(Response::Failed(message)) => Err(AgentError::Failed { message }),
            Some(response) => Ok(response),
            None => Err(self.lost()(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The error of an answer that does not fit the request.
    #[must_use]
    pub fn unexpected(&self) -> AgentError {
        AgentError::Unexpected { container: self.0.container }
    }

    async fn ensure_session(&self) -> Result<(), AgentError> {
        let mut session = self.0.session.lock().await;
        if let Some(connection) = session.as_mut()
            && !connection.is_closed()
        {
            return Ok(());
        }
        let mut connection = (|| self.connect(None))
            .retry(ConstantBuilder::default().with_delay(CONNECT_INTERVAL).with_max_times(CONNECT_ATTEMPTS))
            .await?;
        connection.send(&Request::Begin { version: VERSION }).await.map_err(self.lost())?;
        match self.answer(&mut connection).await? {
            Response::Begun { version: VERSION } => *session = Some(connection),
            Response::Begun { version } => {
                return Err(AgentError::Version { container: self.0.container, version });
            }
            _ => return Err(self.unexpected()),
        }
        Ok(())
    }

    /// Fails if the session that was begun has ended: with its container. The next request would begin another one.
    pub async fn check_session(&self) -> Result<(), AgentError> {
        let has_ended = self.0.session.lock().await.as_mut().is_some_and(Connection::is_closed);
        if has_ended { Err(self.lost()(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }

    async fn connect(&self, descriptor: Option<&OwnedFd>) -> Result<Connection, AgentError> {
        let failed = |source| AgentError::Connect { container: self.0.container, source };
        let stream = socket::connect(&self.0.socket).await.map_err(failed)?;
        Connection::initiate(stream, descriptor).await.map_err(failed)
    }

    fn lost(&self) -> impl Fn(io::Error) -> AgentError + Copy {
        let container = self.0.container;
        move |source| AgentError::Lost { container, source }
    }

    async fn call(&self, task: Task) -> Result<Response, AgentError> {
        let mut connection = self.request(task, None).await?;
        self.answer(&mut connection).await
    }

    async fn done(&self, task: Task) -> Result<(), AgentError> {
        match self.call(task).await? {
            Response::Done => Ok(()),
            _ => Err(self.unexpected()),
        }
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
