//! Sessions as the superuser of the auth secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::session_options::{SessionKind, session_options};
use pgops_api::{layout, names};
use pgops_tls::Connector;
use tokio::net::UnixStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::error::ServerError;
use super::limited_stream::LimitedStream;
use super::stored_settings::{OWN_SETTINGS, USERS_SETTINGS};
use super::tls::DatabaseTls;

/// The superuser of the auth secret. Its password leaves this type only for a connection.
#[derive(Clone)]
pub struct Superuser {
    pub name: String,
    password: String,
    /// Major version of the oldest server to connect to. Users have stored no setting of a later one before the upgrade.
    oldest_major: u32,
    /// None if the database does not speak TLS.
    tls: Option<DatabaseTls>,
}

/// The database that every server has after `initdb`, and the one that `PostgreSQL` itself cannot do without.
const SERVER_DATABASES: [&str; 2] = ["postgres", "template1"];

impl Superuser {
    /// Reads the mounted secret, for servers of `oldest_major` and later.
    pub fn read(oldest_major: u32, tls: Option<DatabaseTls>) -> Result<Self, ServerError> {
        let read = |key: &'static str| {
            let path = PathBuf::from(layout::AUTH_DIR).join(key);
            fs::read_to_string(&path)
                .map(|text| text.trim_end_matches('\n').to_owned())
                .map_err(|source| ServerError::Secret { key, path, source })
        };
        Ok(Self { name: read("username")?, password: read("password")?, oldest_major, tls })
    }

    #[cfg(test)]
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned(), oldest_major: 13, tls: None }
    }

    /// What encrypts a connection to the database; none if it does not speak TLS.
    pub fn connector(&self) -> Result<Option<Connector>, ServerError> {
        Ok(self.tls.as_ref().map(DatabaseTls::connector).transpose()?)
    }

    /// The password, for an authentication.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Connects to `database` at `host`.
    pub async fn connect(&self, host: &str, database: &str) -> Result<Client, ServerError> {
        let options = session_options(SessionKind::Own, self.oldest_major);
        prepare(self.open(host, database, options).await?).await
    }

    /// Connects to `host` for what concerns the whole server. Users may have dropped or closed the database `postgres`.
    pub async fn connect_server(&self, host: &str) -> Result<Client, ServerError> {
        let [usual, fallback] = SERVER_DATABASES;
        match self.connect(host, usual).await {
            Err(error) if error.is_without_database() => self.connect(host, fallback).await,
            result => result,
        }
    }

    /// Connects with further options, such as `-c lock_timeout=60s`. The caller's statement is the first of the session, with
    /// the default search path and formats: it must not reference objects that a user-defined one could shadow.
    pub async fn connect_with(
        &self,
        host: &str,
        database: &str,
        options: &str,
    ) -> Result<Client, ServerError> {
        let fixed = session_options(SessionKind::Program, self.oldest_major);
        self.open(host, database, format!("{fixed} {options}")).await
    }

    async fn open(&self, host: &str, database: &str, options: String) -> Result<Client, ServerError> {
        let mut config = config(&self.name, database, options);
        config.host(host).port(names::POSTGRES_PORT).password(&self.password);
        let failed = |source: tokio_postgres::Error| ServerError::Connect {
            database: database.to_owned(),
            host: host.to_owned(),
            source: source.into(),
        };
        match self.connector()? {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                tokio::spawn(connection);
                Ok(client)
            }
            Some(connector) => {
                // Never without it: the password and the data would be sent in clear text.
                config.ssl_mode(SslMode::Require);
                let (client, connection) = config.connect(connector).await.map_err(failed)?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    }
}

/// Begins a session with a server that runs code of users in another container of this pod: over `stream`, which leads to its
/// `socket`, and for `time` at most.
pub async fn begin_session(
    stream: UnixStream,
    socket: &Path,
    time: Duration,
    database: &str,
    user: &str,
    major: u32,
) -> Result<Client, ServerError> {
    let options = session_options(SessionKind::Own, major);
    prepare(begin_session_with(stream, socket, time, database, user, options).await?).await
}

/// Begins such a session with these options and nothing else, as [`Superuser::connect_with`] does.
pub async fn begin_session_with(
    stream: UnixStream,
    socket: &Path,
    time: Duration,
    database: &str,
    user: &str,
    options: String,
) -> Result<Client, ServerError> {
    let stream = LimitedStream::new(stream, time);
    let config = config(user, database, options);
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|source| {
        let (database, host) = (database.to_owned(), socket.display().to_string());
        ServerError::Connect { database, host, source: source.into() }
    })?;
    tokio::spawn(connection);
    Ok(client)
}

/// Sets what all sessions of pgops need.
///
/// User-defined functions must not shadow built-ins: they would run as superuser. The search path is set only once the
/// session exists, so that `RESET` leads back to the one that code of users is written for.
async fn prepare(client: Client) -> Result<Client, ServerError> {
    // A database without an encoding rejects queries whose answers are not valid in the client's.
    let statements = format!(
        "{OWN_SETTINGS}; \
         SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE getdatabaseencoding() = 'SQL_ASCII'"
    );
    let failed = ServerError::execute("set the search path, the limits and the encoding of a session");
    client.batch_execute(&statements).await.map_err(failed)?;
    Ok(client)
}

/// Executes a statement with the search path and the formats that the database stores, which code of users that it runs is
/// written for: functions in indexes (they run as their owner), event triggers. The statement must not reference objects that
/// a user-defined one could shadow.
pub async fn with_default_search_path(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(USERS_SETTINGS).await?;
    let result = client.batch_execute(statement).await;
    if !client.is_closed() {
        client.batch_execute(OWN_SETTINGS).await?;
    }
    result
}

fn config(user: &str, database: &str, options: String) -> Config {
    let mut config = Config::new();
    config
        .user(user)
        .dbname(database)
        .application_name("pgops")
        .options(options)
        .connect_timeout(Duration::from_secs(5));
    config
}
