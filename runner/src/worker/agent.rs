//! The agent: runs `PostgreSQL`'s programs in a container of a database image, at the order of the runner, which is in
//! another container. It has no token and no password, and does nothing by itself.
//!
//! One session at a time: with its channel end all processes that it has started, and a new session begins only
//! when none of them is left. So a runner that resumes after a kill finds nothing of the previous one at work.
//!
//! Code of users runs in its container with its user id: such code can end it or stop it, which the runner notices, but not
//! read it, change it, or answer in its place.

mod files;
mod heartbeat;
mod image;
mod leftover;
mod lines;
mod process;
mod server;
mod session;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use self::heartbeat::at_work;
use self::session::Sessions;
use super::ptrace::refuse_ptrace;
use crate::agent::connection::Connection;
use crate::agent::control::Control;
use crate::agent::protocol::{Request, Response, Task, VERSION};
use crate::missing::ignore_not_found;

/// The agent could not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("failed to keep other programs of this container out of the agent")]
    Protect(#[source] io::Error),
    #[error(
        "the agent is not the child of PID 1 of a worker's container: it would kill processes that are not its own"
    )]
    NotContained,
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
    refuse_ptrace().map_err(ServeError::Protect)?;
    let sessions = Sessions::of_this_container().ok_or(ServeError::NotContained)?;
    // Data directories and everything else that is written belong to the database's user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = tokio::runtime::Runtime::new().map_err(ServeError::Runtime)?;
    let result = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
        let listener =
            listen(socket).map_err(|source| ServeError::Listen { socket: socket.to_owned(), source })?;
        println!("waiting for the runner on {}", socket.display());
        tokio::select! {
            never = serve(listener, sessions) => match never {},
            _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        }
    });
    // A file that code of users has made may block its reader for ever.
    runtime.shutdown_background();
    result
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    // One that an agent of this container has left before it was restarted.
    ignore_not_found(fs::remove_file(socket))?;
    UnixListener::bind(socket)
}

/// Serves the first client alone: that is the runner, since code of users runs only at its order.
async fn serve(listener: UnixListener, sessions: Sessions) -> Infallible {
    let control = accept_runner(listener).await;
    serve_runner(&control, &Arc::new(sessions)).await;
    // The kubelet ends this container next.
    std::future::pending().await
}

async fn accept_runner(listener: UnixListener) -> Control {
    let stream = loop {
        match listener.accept().await {
            Ok((stream, _)) => break stream,
            Err(error) => {
                eprintln!("failed to accept the runner's connection: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    };
    // No other client can connect from now on.
    drop(listener);
    Control::new(stream)
}

/// Serves until the runner's container has ended.
async fn serve_runner(control: &Control, sessions: &Arc<Sessions>) {
    loop {
        match control.accept().await {
            Ok((channel, descriptor)) => {
                let sessions = sessions.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve_channel(channel, descriptor, &sessions).await {
                        eprintln!("failed to serve a request: {error}");
                    }
                });
            }
            // Too many open files, for example: the runner sees the end of that channel.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                eprintln!("failed to accept a request: {error}");
            }
            Err(_) => return,
        }
    }
}

async fn serve_channel(
    mut channel: Connection,
    descriptor: Option<OwnedFd>,
    sessions: &Sessions,
) -> io::Result<()> {
    let Some(request) = channel.receive::<Request>().await? else { return Ok(()) };
    let task = match request {
        Request::Begin { .. } => {
            let session = sessions.begin().await?;
            channel.send(&Response::Begun { version: VERSION }).await?;
            return sessions.hold(session, &mut channel).await;
        }
        Request::Perform(task) => task,
    };
    let Some(session) = sessions.current() else {
        return channel.send(&Response::Failed("no session has begun".to_owned())).await;
    };
    let result = session.while_current(perform(task, descriptor, &mut channel, sessions)).await;
    match result {
        Some(Ok(Some(response))) => channel.send(&response).await,
        Some(Ok(None)) | None => Ok(()),
        Some(Err(message)) => channel.send(&Response::Failed(message)).await,
    }
}

/// Performs a task. The last answer is returned; `None` if the runner has abandoned the request.
async fn perform(
    task: Task,
    descriptor: Option<OwnedFd>,
    channel: &mut Connection,
    sessions: &Sessions,
) -> Result<Option<Response>, String> {
    let response = match task {
        Task::Run(command) => return process::run(command, descriptor, channel).await,
        Task::Connect { socket } => server::connect(&socket, channel).await?,
        Task::StopServer { pgdata } => at_work(channel, done(leftover::stop_server(&pgdata))).await?,
        Task::KillAll => at_work(channel, done(sessions.kill_others())).await?,
        // Of its limit too (`cpu.max`): the node may have many more.
        Task::CountProcessors => Response::Count(std::thread::available_parallelism().map_or(1, usize::from)),
        Task::Image(task) => at_work(channel, sessions.blocking(|| image::answer(task))).await?,
        Task::Files(task) => at_work(channel, sessions.blocking(|| files::answer(task))).await?,
    };
    Ok(Some(response))
}

async fn done(work: impl Future<Output = io::Result<()>>) -> Result<Response, String> {
    work.await.map(|()| Response::Done).map_err(|error| error.to_string())
}

#[cfg(test)]
pub mod tests;
