//! Sessions as the superuser of the auth secret, and the options that all of them share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::{layout, names};
use tokio_postgres::{Client, Config, NoTls};

use super::error::ServerError;
use super::limited_stream::LimitedStream;
use crate::agent::socket;

/// Options of every session of pgops, and of the programs that it runs. An image may have the JIT provider without
/// its LLVM: then costly queries fail. Limits that users have set for their own sessions must not stop these. The owner
/// of a database may set how its sessions read strings: a backslash before a quote would end a literal.
///
/// Messages are in English: what is shown of them, and what follows from some, depends on their text.
pub const SESSION_OPTIONS: &str = "-c jit=off -c lc_messages=C -c statement_timeout=0 -c lock_timeout=0 \
    -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c standard_conforming_strings=on";

/// Further options for long-running programs, on a server of that major version.
#[must_use]
pub fn long_running_options(major: u32) -> &'static str {
    if major >= 17 { "-c transaction_timeout=0" } else { "" }
}

/// Takes the schemas of users off the search path.
pub const SYSTEM_SEARCH_PATH: &str = "SET search_path = pg_catalog, pg_temp";
/// Restores the search path that the server, the database and the role have set.
pub const DEFAULT_SEARCH_PATH: &str = "RESET search_path";

/// The superuser of the auth secret. Its password leaves this type only for a connection.
#[derive(Clone)]
pub struct Superuser {
    pub name: String,
    password: String,
}

impl Superuser {
    /// Reads the mounted secret.
    pub fn read() -> Result<Self, ServerError> {
        let read = |key: &'static str| {
            let path = PathBuf::from(layout::AUTH_DIR).join(key);
            fs::read_to_string(&path)
                .map(|text| text.trim_end_matches('\n').to_owned())
                .map_err(|source| ServerError::Secret { key, path, source })
        };
        Ok(Self { name: read("username")?, password: read("password")? })
    }

    #[cfg(test)]
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned() }
    }

    /// The password, for an authentication.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Connects to `database` at `host`.
    pub async fn connect(&self, host: &str, database: &str) -> Result<Client, ServerError> {
        connect(host, database, &self.name, Some(&self.password)).await
    }

    /// Connects with further options, such as `-c lock_timeout=60s`. The caller's statement is the first of the
    /// session, on the default search path: it must not reference objects that a user-defined one could shadow.
    pub async fn connect_with(
        &self,
        host: &str,
        database: &str,
        options: &str,
    ) -> Result<Client, ServerError> {
        open(host, database, &self.name, Some(&self.password), options).await
    }
}

/// Connects to a server at an address.
///
/// User-defined functions must not shadow built-ins: they would run as superuser. The search path is set only once the
/// session exists, since login triggers are written for the default path.
pub async fn connect(
    host: &str,
    database: &str,
    user: &str,
    password: Option<&str>,
) -> Result<Client, ServerError> {
    prepare(open(host, database, user, password, "").await?).await
}

/// Connects through the socket in `directory` to a server that runs code of users in another container of this pod.
pub async fn connect_socket(directory: &Path, database: &str, user: &str) -> Result<Client, ServerError> {
    let host = directory.display().to_string();
    let path = directory.join(format!(".s.PGSQL.{}", names::POSTGRES_PORT));
    let failed = |source| ServerError::Socket { path: path.clone(), source };
    let stream = LimitedStream::new(socket::connect(&path).await.map_err(failed)?);
    let (client, connection) =
        config(user, database, "").connect_raw(stream, NoTls).await.map_err(|source| {
            ServerError::Connect { database: database.to_owned(), host, source: source.into() }
        })?;
    tokio::spawn(connection);
    prepare(client).await
}

/// Sets what all sessions of pgops need.
async fn prepare(client: Client) -> Result<Client, ServerError> {
    // These two settings exist only in some versions. And a database without an encoding rejects queries whose answers are
    // not valid in the client's.
    let statements = format!(
        "{SYSTEM_SEARCH_PATH}; SELECT set_config(name, '0', false) FROM pg_settings \
         WHERE name IN ('transaction_timeout', 'idle_session_timeout'); \
         SELECT set_config('client_encoding', 'SQL_ASCII', false) WHERE getdatabaseencoding() = 'SQL_ASCII'"
    );
    let failed = ServerError::execute("set the search path, the limits and the encoding of a session");
    client.batch_execute(&statements).await.map_err(failed)?;
    Ok(client)
}

/// Executes a statement on the default search path, which code of users that it runs is written for: functions in
/// indexes (they run as their owner), event triggers. The statement must not reference objects that a user-defined one
/// could shadow.
pub async fn with_default_search_path(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(DEFAULT_SEARCH_PATH).await?;
    let result = client.batch_execute(statement).await;
    if !client.is_closed() {
        client.batch_execute(SYSTEM_SEARCH_PATH).await?;
    }
    result
}

async fn open(
    host: &str,
    database: &str,
    user: &str,
    password: Option<&str>,
    options: &str,
) -> Result<Client, ServerError> {
    let mut config = config(user, database, options);
    config.host(host).port(names::POSTGRES_PORT);
    if let Some(password) = password {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await.map_err(|source| ServerError::Connect {
        database: database.to_owned(),
        host: host.to_owned(),
        source: source.into(),
    })?;
    tokio::spawn(connection);
    Ok(client)
}

fn config(user: &str, database: &str, options: &str) -> Config {
    let mut config = Config::new();
    config
        .user(user)
        .dbname(database)
        .application_name("pgops")
        .options(format!("{SESSION_OPTIONS} {options}"))
        .connect_timeout(Duration::from_secs(5));
    config
}
