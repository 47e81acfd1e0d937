//! The agent: runs `PostgreSQL`'s programs in a container of a database image, at the order of the runner, which is in
//! another container. It has no token and no password, and does nothing by itself.
//!
//! One session at a time: with its connection end all processes that it has started, and a new session begins only
//! when none of them is left. So a runner that resumes after a kill finds nothing of the previous one at work.

mod files;
mod image;
mod leftover;
mod lines;
mod process;
mod session;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use self::session::Sessions;
use crate::agent::connection::Connection;
use crate::agent::protocol::{Request, Response, Task, VERSION};
use crate::missing::ignore_not_found;

/// The agent could not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("failed to start the runtime")]
    Runtime(#[source] io::Error),
    #[error("failed to listen on {socket}: the emptyDir must be mounted and writable")]
    Listen {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Serves requests on `socket` until the kubelet ends the container: it does so once the runner's has ended.
pub fn run(socket: &Path) -> Result<ExitCode, ServeError> {
    // Data directories and everything else that is written belong to the database's user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Runtime::new().map_err(ServeError::Runtime)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
        let listener =
            listen(socket).map_err(|source| ServeError::Listen { socket: socket.to_owned(), source })?;
        println!("waiting for the runner on {}", socket.display());
        tokio::select! {
            never = serve(listener) => match never {},
            _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        }
    })
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    // One that an agent of this container has left before it was restarted.
    ignore_not_found(fs::remove_file(socket))?;
    UnixListener::bind(socket)
}

async fn serve(listener: UnixListener) -> std::convert::Infallible {
    let sessions = Arc::new(Sessions::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let sessions = sessions.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve_connection(stream, &sessions).await {
                        eprintln!("failed to serve a request: {error}");
                    }
                });
            }
            // Too many open files, for example: connections that end make room.
            Err(error) => {
                eprintln!("failed to accept a connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(stream: UnixStream, sessions: &Sessions) -> io::Result<()> {
    let (mut connection, descriptor) = Connection::accept(stream).await?;
    let Some(request) = connection.receive::<Request>().await? else { return Ok(()) };
    let task = match request {
        Request::Begin { .. } => {
            let session = sessions.begin().await?;
            connection.send(&Response::Begun { version: VERSION }).await?;
            return sessions.hold(session, &mut connection).await;
        }
        Request::Perform(task) => task,
    };
    let Some(session) = sessions.current() else {
        return connection.send(&Response::Failed("no session has begun".to_owned())).await;
    };
    let result = session.while_current(perform(task, descriptor, &mut connection)).await;
    match result {
        Some(Ok(Some(response))) => connection.send(&response).await,
        Some(Ok(None)) | None => Ok(()),
        Some(Err(message)) => connection.send(&Response::Failed(message)).await,
    }
}

/// Performs a task. The last answer is returned; `None` if the runner has abandoned the request.
async fn perform(
    task: Task,
    descriptor: Option<std::os::fd::OwnedFd>,
    connection: &mut Connection,
) -> Result<Option<Response>, String> {
    let response = match task {
        Task::Run(command) => return process::run(command, descriptor, connection).await,
        Task::StopServer { pgdata } => {
            leftover::stop_server(&pgdata).await.map_err(|error| error.to_string())?;
            Response::Done
        }
        Task::KillAll => {
            session::kill_others().await.map_err(|error| error.to_string())?;
            Response::Done
        }
        // Of its limit too (`cpu.max`): the node may have many more.
        Task::CountProcessors => Response::Count(std::thread::available_parallelism().map_or(1, usize::from)),
        Task::Image(task) => image::answer(task)?,
        Task::Files(task) => files::answer(task)?,
    };
    Ok(Some(response))
}

#[cfg(test)]
pub mod tests;
