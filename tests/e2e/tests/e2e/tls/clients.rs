//! Clients of the database: `psql`, which verifies as its users' does, and the driver that pgops itself uses.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use pgops_api::names;
use pgops_e2e::{Namespace, Output};
use pgops_tls::Connector;
use tempfile::TempDir;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::TIMEOUT;
use super::cert_manager::Issued;

const RETRY: Duration = Duration::from_secs(2);
/// How a connection through a Service fails while it is not set up, about a second after its pod has become ready.
const NOT_ROUTED_YET: [&str; 4] = [
    // The cluster's DNS does not know the Service.
    "could not translate host name",
    // kube-proxy knows the Service, but none of its pods.
    "Connection refused",
    // It does not know the Service either: the connection ends at the node's gateway, where there is no host.
    "No route to host",
    // It knows the pod before, which no longer exists.
    "timeout expired",
];

/// `psql` in the database's pod, through the Service, with the superuser's password.
async fn psql(ns: &Namespace, parameters: &str) -> anyhow::Result<Output> {
    let host = format!("{}.svc", ns.name());
    let command = format!(
        "PGPASSWORD=$(cat /etc/pgops/auth/password) psql -XAtc \
         'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()' \
         'host=orders.{host} user=postgres dbname=postgres connect_timeout=10 {parameters}'"
    );
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let output =
            ns.kubectl(&["exec", "orders-0", "-c", "postgres", "--", "sh", "-c", &command], None).await?;
        let is_routed = !NOT_ROUTED_YET.iter().any(|error| output.stderr.contains(error));
        if is_routed || Instant::now() >= deadline {
            return Ok(output);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A client that verifies the server's name, and the authority that has signed its certificate, gets an encrypted connection.
pub async fn ensure_verified(ns: &Namespace) -> anyhow::Result<()> {
    let verified = psql(ns, "sslmode=verify-full sslrootcert=/etc/pgops/tls/ca.crt").await?.succeeded()?;
    ensure!(verified.stdout.trim() == "t", "the connection is not encrypted: {}", verified.stdout);
    Ok(())
}

/// The files of Secrets that a client trusts, or authenticates by.
pub fn files(entries: &[(&str, &str)]) -> anyhow::Result<TempDir> {
    let directory = tempfile::tempdir()?;
    for (name, content) in entries {
        std::fs::write(directory.path().join(name), content)?;
    }
    Ok(directory)
}

/// A query on a connection with TLS; the superuser authenticates by its password, or by a certificate.
pub async fn query(
    ns: &Namespace,
    trusted: &TempDir,
    client: Option<&TempDir>,
    sql: &str,
) -> anyhow::Result<String> {
    let connector = Connector::read(trusted.path(), client.map(TempDir::path), "orders")?;
    let mut forward = ns.api::<Pod>().portforward("orders-0", &[names::POSTGRES_PORT]).await?;
    let stream = forward.take_stream(names::POSTGRES_PORT).context("no stream to the pod")?;
    let auth = ns.api::<Secret>().get(&names::auth_secret("orders")).await?;
    let password = auth.data.and_then(|mut data| data.remove("password")).context("no password")?;
    let mut config = Config::new();
    config.user("postgres").dbname("postgres").ssl_mode(SslMode::Require);
    if client.is_none() {
        config.password(&password.0);
    }
    let connecting = tokio::time::timeout(Duration::from_secs(10), config.connect_raw(stream, connector));
    let (session, connection) = connecting.await.context("the server does not answer")??;
    let task = tokio::spawn(async move {
        // The user of the session sees the end of the connection.
        let _ = connection.await;
        drop(forward);
    });
    let value = session.query_one(sql, &[]).await?.try_get(0)?;
    task.abort();
    Ok(value)
}

/// Waits until the server presents exactly this certificate.
pub async fn wait_served(ns: &Namespace, issued: &Issued) -> anyhow::Result<()> {
    let trusted = files(&[("tls.crt", &issued.certificate)])?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match query(ns, &trusted, None, "SELECT 'served'").await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(error.context("the certificate is not served"));
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

pub async fn ensure_plain_connections_are_refused(ns: &Namespace) -> anyhow::Result<()> {
    let plain = psql(ns, "sslmode=disable").await?;
    ensure!(!plain.success, "connected without TLS: {}", plain.stdout);
    ensure!(plain.stderr.contains("no pg_hba.conf entry"), "{}", plain.stderr);
    Ok(())
}
