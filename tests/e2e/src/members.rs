//! The servers of a database with standbys.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use pgops_api::{Postgres, names};

use crate::connection::{self, Server};
use crate::database::Database;
use crate::namespace::Namespace;
use crate::wait::eventually;

/// Two cores may be cloning several databases at once.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Name of the pod with the primary.
pub(crate) async fn primary(ns: &Namespace, database: &str) -> anyhow::Result<String> {
    let pods = with_role(ns, database, names::ROLE_PRIMARY).await?;
    ensure!(pods.len() == 1, "{database} has primaries {pods:?}");
    Ok(pods.concat())
}

/// Names of the pods with this role, in their order.
async fn with_role(ns: &Namespace, database: &str, role: &str) -> anyhow::Result<Vec<String>> {
    let selector = format!("{}={database},{}={role}", names::LABEL_INSTANCE, names::LABEL_ROLE);
    let pods = ns.api::<Pod>().list(&ListParams::default().labels(&selector)).await?;
    let mut names: Vec<_> = pods.items.iter().map(ResourceExt::name_any).collect();
    names.sort();
    Ok(names)
}

impl Database {
    /// Name of the pod with the primary.
    pub async fn primary(&self) -> anyhow::Result<String> {
        primary(self.namespace(), self.name()).await
    }

    /// Names of the pods with standbys.
    pub async fn standbys(&self) -> anyhow::Result<Vec<String>> {
        with_role(self.namespace(), self.name(), names::ROLE_STANDBY).await
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
