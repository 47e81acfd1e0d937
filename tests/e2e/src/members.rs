//! The servers of a database with standbys.

use std::time::Duration;

use anyhow::{Context, ensure};
use pgops_api::{Postgres, names};

use crate::connection::{self, Server};
use crate::database::Database;
use crate::roles;
use crate::wait::eventually;

/// Two cores may be cloning several databases at once.
const TIMEOUT: Duration = Duration::from_mins(5);

impl Database {
    /// Name of the pod with the primary.
    pub async fn primary(&self) -> anyhow::Result<String> {
        roles::primary(self.namespace(), self.name()).await
    }

    /// Names of the pods with standbys.
    pub async fn standbys(&self) -> anyhow::Result<Vec<String>> {
        roles::pods(self.namespace(), self.name(), names::ROLE_STANDBY).await
    }

    /// The single value that a query returns on the server of this pod.
    pub async fn value_on(&self, pod: &str, query: &str) -> anyhow::Result<String> {
        let client = connection::connect(self.namespace(), self.name(), Server::Pod(pod), "postgres").await?;
        let rows = connection::rows(&client, query).await?.concat();
        ensure!(rows.len() == 1, "{query} returned {} values on {pod}", rows.len());
        Ok(rows.concat())
    }

    /// Waits until there is a primary, and all other servers stream from it and answer.
    pub async fn wait_streaming(&self) -> anyhow::Result<Postgres> {
        let object = self.wait_ready().await?;
        let standbys = usize::try_from(object.replicas())?.saturating_sub(1);
        eventually("standbys that stream", TIMEOUT, async || {
            let found = self.standbys().await?;
            ensure!(found.len() == standbys, "{found:?} are standbys of {}", self.primary().await?);
            let streaming = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
            let streaming = self.value(streaming).await?;
            ensure!(streaming == standbys.to_string(), "{streaming} of {standbys} standbys stream");
            Ok(())
        })
        .await
        .context(self.name().to_owned())?;
        self.wait_ready().await
    }
}
