//! The client of one upgrade.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::Client;
use kube::api::Api;
use pgops_api::plan::UpgradePlan;
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_kube::connect;

use super::error::ClusterError;

/// How long the API server may be silent in the middle of a call. None of the runner's calls is a watch.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The objects of one upgrade.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) plan: UpgradePlan,
    pub(super) requests: Api<PostgresOpsRequest>,
    pub(super) databases: Api<Postgres>,
    pub(super) workloads: Api<StatefulSet>,
    pub(super) pods: Api<Pod>,
    pub(super) services: Api<Service>,
    pub(super) reports: Api<ConfigMap>,
}

impl Cluster {
    /// Connects to the cluster that this pod runs in.
    pub fn connect(plan: &UpgradePlan) -> Result<Self, ClusterError> {
        let mut config = connect::in_cluster()?;
        // A control plane node that is lost during a call sends nothing more: the call is made again.
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        let client = connect::client(config)?;
        let namespace = &plan.namespace;
        Ok(Self {
            requests: Api::namespaced(client.clone(), namespace),
            databases: Api::namespaced(client.clone(), namespace),
            workloads: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            services: Api::namespaced(client.clone(), namespace),
            reports: Api::namespaced(client.clone(), namespace),
            plan: plan.clone(),
            client,
        })
    }

    /// The client, for Events.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}
