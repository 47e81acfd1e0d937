//! Leads programs that have no password to the serving database.
//!
//! `pg_dump` runs in a container that must not know the superuser's password. It connects to a socket of the runner, which
//! authenticates to the server in its place and passes everything else on. The socket exists only while such a program
//! runs.

mod authentication;
mod message;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pgops_api::names::POSTGRES_PORT;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use self::message::Startup;
use super::client::session::Superuser;
use crate::missing::ignore_not_found;

/// More connections at a time than a program opens.
const MAX_CONNECTIONS: usize = 64;

/// The proxy could not listen.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {socket} for programs that connect to the database")]
pub struct ProxyError {
    socket: PathBuf,
    #[source]
    source: io::Error,
}

/// A running proxy. Dropping it ends all of its connections.
pub struct Proxy {
    directory: PathBuf,
    user: String,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens in `directory` for programs that connect to the server at `host` as the superuser.
    pub fn start(directory: &Path, host: &str, superuser: &Superuser) -> Result<Self, ProxyError> {
        let socket = directory.join(format!(".s.PGSQL.{POSTGRES_PORT}"));
        let listener = fs::create_dir_all(directory)
            .and_then(|()| ignore_not_found(fs::remove_file(&socket)))
            .and_then(|()| UnixListener::bind(&socket))
            .map_err(|source| ProxyError { socket, source })?;
        let target = Target { host: host.to_owned(), superuser: superuser.clone() };
        let task = tokio::spawn(serve(listener, Arc::new(target)));
        Ok(Self { directory: directory.to_owned(), user: superuser.name.clone(), task })
    }

    /// The directory of its socket, which clients take as a host.
    #[must_use]
    pub fn host(&self) -> &str {
        self.directory.to_str().unwrap_or_default()
    }

    /// The role as which clients must connect.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        // The next one replaces it if this fails.
        let _ = fs::remove_file(self.directory.join(format!(".s.PGSQL.{POSTGRES_PORT}")));
    }
}

struct Target {
    host: String,
    superuser: Superuser,
}

/// Serves until it is aborted, and its connections with it.
async fn serve(listener: UnixListener, target: Arc<Target>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = accepted else { continue };
        let target = target.clone();
        connections.spawn(async move {
            if let Err(error) = connect(client, &target).await {
                tracing::debug!("a connection through the proxy ended: {error}");
            }
            drop(permit);
        });
    }
}

/// The program's socket needs no TLS; the connection to the server has it if the database does.
async fn connect(mut client: UnixStream, target: &Target) -> io::Result<()> {
    let Some(startup) = message::read_startup(&mut client).await? else { return Ok(()) };
    let server = TcpStream::connect((target.host.as_str(), POSTGRES_PORT)).await?;
    server.set_nodelay(true)?;
    match target.superuser.connector().map_err(io::Error::other)? {
        None => lead(client, server, startup, &target.superuser).await,
        Some(connector) => lead(client, connector.start_tls(server).await?, startup, &target.superuser).await,
    }
}

async fn lead(
    mut client: UnixStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    startup: Startup,
    superuser: &Superuser,
) -> io::Result<()> {
    match startup {
        Startup::Session(packet) => {
            server.write_all(&packet).await?;
            server.flush().await?;
            let answer = authentication::authenticate(&mut server, superuser).await?;
            client.write_all(&answer).await?;
            copy_bidirectional(&mut client, &mut server).await.map(drop)
        }
        // The server closes such a connection.
        Startup::Cancel(packet) => {
            server.write_all(&packet).await?;
            server.flush().await
        }
    }
}

#[cfg(test)]
mod tests;
