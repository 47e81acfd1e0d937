//! The socket of a server that runs code of users in another container: the agent there connects to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::names::POSTGRES_PORT;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio_postgres::Client;

use crate::agent::Agent;
use crate::agent::protocol::ServerProcess;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::{begin_session, begin_session_with};

/// A server's socket, known by the process that listens there.
pub struct ServerSocket {
    agent: Agent,
    path: PathBuf,
    /// Major version of the server.
    major: u32,
    /// How long a session lasts at most.
    session_time: Duration,
    /// Who listened first, before the server could run code of users: that may listen in its place.
    server: Mutex<Option<ServerProcess>>,
}

impl ServerSocket {
    /// That of a server in the agent's container, which puts it into `directory`.
    #[must_use]
    pub fn new(agent: &Agent, directory: &Path, major: u32, session_time: Duration) -> Self {
        Self::on_port(POSTGRES_PORT, agent, directory, major, session_time)
    }

    /// That of a server with another port.
    #[must_use]
    pub fn on_port(port: u16, agent: &Agent, directory: &Path, major: u32, session_time: Duration) -> Self {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        Self { agent: agent.clone(), path, major, session_time, server: Mutex::new(None) }
    }

    /// Remembers who listens, in place of who did before. The server has started, and has run no code of users.
    pub async fn identify(&self) -> Result<(), ServerError> {
        let (_, process) = self.open().await?;
        *self.server.lock().await = Some(process);
        Ok(())
    }

    /// A session with the server. The first one begins before the server runs code of users.
    pub async fn connect(&self, database: &str, user: &str) -> Result<Client, ServerError> {
        let stream = self.open_same().await?;
        begin_session(stream, &self.path, self.session_time, database, user, self.major).await
    }

    /// A session with these options and nothing else, for statements of others such as scripts of extensions.
    pub async fn connect_with(
        &self,
        database: &str,
        user: &str,
        options: String,
    ) -> Result<Client, ServerError> {
        let stream = self.open_same().await?;
        begin_session_with(stream, &self.path, self.session_time, database, user, options).await
    }

    /// A connection to the process that listened first.
    async fn open_same(&self) -> Result<UnixStream, ServerError> {
        let (stream, process) = self.open().await?;
        if *self.server.lock().await.get_or_insert(process) != process {
            return Err(ServerError::Replaced { path: self.path.clone() });
        }
        Ok(stream)
    }

    async fn open(&self) -> Result<(UnixStream, ServerProcess), ServerError> {
        let opened = self.agent.connect_server(self.path.clone()).await;
        opened.map_err(|source| ServerError::Socket { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::agent::tests::TestAgent;
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    /// Something that listens as a server does, in a process of its own.
    struct Listener(Child);

    impl Listener {
        fn start(path: &Path) -> Self {
            let script = "use Socket; socket(my $s, PF_UNIX, SOCK_STREAM, 0); unlink $ARGV[0]; \
                          bind($s, sockaddr_un($ARGV[0])); listen($s, 9); syswrite STDOUT, '!'; sleep 60";
            let mut perl = Command::new("perl");
            let mut child = perl.arg("-e").arg(script).arg(path).stdout(Stdio::piped()).spawn().unwrap();
            child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
            Self(child)
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn process_that_has_replaced_the_server_is_not_asked() {
        let agent = TestAgent::start();
        let directory = tempfile::tempdir().unwrap();
        let socket = ServerSocket::new(&agent.client, directory.path(), 17, Duration::from_millis(100));
        let server = Listener::start(&socket.path);
        let error = socket.connect("postgres", "postgres").await.unwrap_err();
        assert!(matches!(error, ServerError::Connect { .. }), "it does not answer: {error:?}");
        let other = Listener::start(&socket.path);
        let error = socket.connect("postgres", "postgres").await.unwrap_err();
        assert!(matches!(error, ServerError::Replaced { .. }), "{error:?}");
        socket.identify().await.unwrap();
        let error = socket.connect("postgres", "postgres").await.unwrap_err();
        assert!(matches!(error, ServerError::Connect { .. }), "it was started again: {error:?}");
        drop((server, other));
        let error = socket.connect("postgres", "postgres").await.unwrap_err();
        assert!(matches!(error, ServerError::Socket { .. }) && !error.is_lost(), "{error:?}");
    }
}
