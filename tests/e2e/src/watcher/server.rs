//! One server, asked directly: by the address of its pod, without the API server and the Services.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use pgops_api::names;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use crate::connection;

/// The API server may be what does not answer.
const LOOKUP_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Server {
    pods: Api<Pod>,
    pod: String,
    login: Config,
    /// The last known one.
    address: Option<String>,
    client: Option<Client>,
    /// Its connection, closed on drop: a frozen server would keep it.
    connection: JoinSet<()>,
}

impl Server {
    pub(super) fn new(pods: Api<Pod>, pod: String, login: Config) -> Self {
        Self { pods, pod, login, address: None, client: None, connection: JoinSet::new() }
    }

    /// The name of its pod.
    pub(super) fn pod(&self) -> &str {
        &self.pod
    }

    /// The first row of a statement; none if the server does not answer within the limit.
    pub(super) async fn row(&mut self, sql: &str, limit: Duration) -> Option<Vec<String>> {
        let row = timeout(limit, self.try_row(sql)).await;
        if let Ok(Ok(row)) = row {
            return Some(row);
        }
        // The answer to a later question could be that to this one.
        self.disconnect();
        None
    }

    async fn try_row(&mut self, sql: &str) -> anyhow::Result<Vec<String>> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.connect().await?;
        }
        let client = self.client.as_ref().context("not connected")?;
        connection::rows(client, sql).await?.into_iter().next().context("no row")
    }

    async fn connect(&mut self) -> anyhow::Result<()> {
        self.disconnect();
        if let Ok(Ok(pod)) = timeout(LOOKUP_LIMIT, self.pods.get(&self.pod)).await {
            self.address = pod.status.and_then(|status| status.pod_ip).or(self.address.take());
        }
        let address = self.address.as_deref().context("the pod has no address yet")?;
        let mut config = self.login.clone();
        config.host(address).port(names::POSTGRES_PORT).dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        self.connection.spawn(async move {
            // The user of the client sees its end.
            let _ = connection.await;
        });
        self.client = Some(client);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.client = None;
        self.connection = JoinSet::new();
    }
}
