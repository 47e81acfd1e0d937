//! Connections to a database from outside the cluster, through the API server.

use std::time::Duration;

use anyhow::{Context, anyhow};
use k8s_openapi::api::core::v1::{Pod, Secret};
use pgops_api::session_options::{SessionKind, session_options};
use pgops_api::{Postgres, names};
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::namespace::Namespace;
use crate::roles;

/// The first attempts may reach a server that is not listening yet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// The oldest major version that the tests have a server of.
const OLDEST_MAJOR: u32 = 13;

/// Which server of a database to connect to.
#[derive(Clone, Copy)]
pub(crate) enum Server<'a> {
    /// The one that accepts writes: the only one, or the primary.
    Primary,
    /// That of this pod.
    Pod(&'a str),
}

/// Connects to a server of the database `name`, as the superuser.
pub(crate) async fn connect(
    ns: &Namespace,
    name: &str,
    server: Server<'_>,
    dbname: &str,
) -> anyhow::Result<Client> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        match try_connect(ns, name, server, dbname).await {
            Err(_) if Instant::now() < deadline => tokio::time::sleep(RETRY_INTERVAL).await,
            result => {
                return result.with_context(|| {
                    format!("failed to connect to database {dbname} of {}/{name}", ns.name())
                });
            }
        }
    }
}

async fn try_connect(ns: &Namespace, name: &str, server: Server<'_>, dbname: &str) -> anyhow::Result<Client> {
    let database = ns.api::<Postgres>().get(name).await?;
    let pod = match server {
        Server::Pod(pod) => pod.to_owned(),
        Server::Primary if database.replicas() > 1 => roles::primary(ns, name).await?,
        Server::Primary => names::pod(name, 0),
    };
    let mut forward = ns.api::<Pod>().portforward(&pod, &[names::POSTGRES_PORT]).await?;
    let stream = forward.take_stream(names::POSTGRES_PORT).ok_or_else(|| anyhow!("no stream to the pod"))?;
    let mut config = login(ns, &database).await?;
    config.dbname(dbname);
    // Whatever a test has stored for databases and roles.
    config.options(session_options(SessionKind::Program, OLDEST_MAJOR));
    let connected = tokio::time::timeout(Duration::from_secs(10), config.connect_raw(stream, NoTls)).await;
    let (client, connection) = connected.context("the server does not answer")??;
    tokio::spawn(async move {
        // The user of the client sees the end of the connection.
        let _ = connection.await;
        drop(forward);
    });
    // The text of a value must not depend on settings of roles and databases. The images lack the library that
    // the JIT needs, which is legitimate.
    client
        .batch_execute(
            "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1;
             SET bytea_output = 'hex'; SET client_encoding = 'UTF8'; SET client_min_messages = 'error'; SET jit = off",
        )
        .await?;
    Ok(client)
}

/// The name and the password of the superuser.
pub(crate) async fn login(ns: &Namespace, database: &Postgres) -> anyhow::Result<Config> {
    let auth = ns.api::<Secret>().get(&database.auth_secret()).await?;
    let entry = |key: &str| {
        let bytes = auth.data.as_ref().and_then(|data| data.get(key));
        let bytes = bytes.ok_or_else(|| anyhow!("the password's Secret has no key {key}"))?;
        anyhow::Ok(String::from_utf8(bytes.0.clone())?)
    };
    let mut config = Config::new();
    config.user(entry("username")?).password(entry("password")?).application_name("pgops-e2e");
    Ok(config)
}

/// The rows of all statements in `sql`, each column as text; NULL is empty.
pub(crate) async fn rows(client: &Client, sql: &str) -> anyhow::Result<Vec<Vec<String>>> {
    let messages = client.simple_query(sql).await.map_err(|error| explain(&error, sql))?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|column| row.get(column).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}

/// The server's own message, with the beginning of the statement.
#[expect(clippy::disallowed_methods, reason = "all data of the tests is their own")]
pub(crate) fn explain(error: &tokio_postgres::Error, sql: &str) -> anyhow::Error {
    let beginning: String = sql.trim().chars().take(200).collect();
    match error.as_db_error() {
        Some(db) => {
            anyhow!("{}: {} {} in: {beginning}", db.severity(), db.message(), db.detail().unwrap_or(""))
        }
        None => anyhow!("{error} in: {beginning}"),
    }
}
