//! How the runner gets its connections to the agents.
//!
//! PID 1 of the runner's container connects when the container starts. No agent has been asked to do anything by then, so no
//! code of users runs in their containers, and what listens at their sockets are the agents. It keeps the connections, and
//! gives them to the runner that it starts, and to each that it starts again after a kill.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use pgops_api::layout::{AGENT_SOCKET, PROGRAMS_DIR, REHEARSAL_DIR};
use pgops_api::names::{CONTAINER_PROGRAMS, CONTAINER_REHEARSAL};
use tokio::net::UnixStream;

use super::descriptors::{receive_now, send_now};

/// The containers that may have an agent, each with the directory of its socket. The order in which connections are handed over.
pub const CONTAINERS: [(&str, &str); 2] =
    [(CONTAINER_PROGRAMS, PROGRAMS_DIR), (CONTAINER_REHEARSAL, REHEARSAL_DIR)];
/// How often, and how many times, to look for an agent: its container has been started before the runner's.
const CONNECT_INTERVAL: Duration = Duration::from_millis(100);
const CONNECT_ATTEMPTS: usize = 600;

/// An agent does not listen.
#[derive(Debug, thiserror::Error)]
#[error("failed to connect to container \"{container}\" of this pod; did it start?")]
pub struct ConnectError {
    container: &'static str,
    #[source]
    source: io::Error,
}

/// Connects to each agent of this pod: a directory is mounted only if its container exists.
pub async fn connect_all() -> Result<Vec<OwnedFd>, ConnectError> {
    let mut connections = Vec::new();
    for (container, directory) in CONTAINERS {
        let directory = Path::new(directory);
        if directory.is_dir() {
            connections.push(connect(container, &directory.join(AGENT_SOCKET)).await?);
        }
    }
    Ok(connections)
}

/// Connects to the agent of a container, which listens at `socket` or soon will.
pub async fn connect(container: &'static str, socket: &Path) -> Result<OwnedFd, ConnectError> {
    let attempts = ConstantBuilder::default().with_delay(CONNECT_INTERVAL).with_max_times(CONNECT_ATTEMPTS);
    let connected = (|| UnixStream::connect(socket)).retry(attempts).await;
    let connected = connected.and_then(UnixStream::into_std).map(OwnedFd::from);
    connected.map_err(|source| ConnectError { container, source })
}

/// The standard input by which a process gets these connections.
pub fn give(connections: &[OwnedFd]) -> io::Result<Stdio> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let descriptors: Vec<_> = connections.iter().map(AsFd::as_fd).collect();
    // They wait in the pair until the process takes them.
    send_now(&ours, &descriptors)?;
    Ok(OwnedFd::from(theirs).into())
}

/// Takes the connections that the parent of this process has given.
pub fn take() -> io::Result<Vec<OwnedFd>> {
    receive_now(rustix::stdio::stdin())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn agent_that_listens_only_soon_is_reached() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join(AGENT_SOCKET);
        let (connected, listener) = tokio::join!(connect(CONTAINER_PROGRAMS, &socket), async {
            tokio::time::sleep(CONNECT_INTERVAL).await;
            tokio::net::UnixListener::bind(&socket).unwrap()
        });
        connected.unwrap();
        listener.accept().await.unwrap();
    }

    #[test]
    fn connections_wait_in_the_standard_input_of_a_process() {
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let input = give(&[null]).unwrap();
        // It reads the one byte that carries them.
        let output = Command::new("cat").stdin(input).output().unwrap();
        assert_eq!(output.stdout, b"d");
    }
}
