//! The client of one upgrade.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod, Service};
use kube::Client;
use kube::api::Api;
use pgops_api::plan::UpgradePlan;
use pgops_api::{Owner, Postgres, PostgresOpsRequest};
use pgops_kube::connect;

use super::error::ClusterError;
use super::known::{Identity, Known, SetTemplate};
use super::owned::Owned;

/// How long the API server may be silent in the middle of a call. None of the runner's calls is a watch.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The objects of one upgrade.
#[derive(Clone)]
pub struct Cluster {
    pub(super) client: Client,
    pub(super) plan: UpgradePlan,
    pub(super) requests: Api<PostgresOpsRequest>,
    pub(super) databases: Api<Postgres>,
    pub(super) workload: Owned<StatefulSet>,
    pub(super) pods: Api<Pod>,
    pub(super) claims: Api<PersistentVolumeClaim>,
    pub(super) service: Owned<Service>,
    pub(super) config_maps: Api<ConfigMap>,
    /// Name of the pod that this runner is in.
    pub(super) own_pod: Option<String>,
    pub(super) known_report: Known<Identity>,
    pub(super) events: Api<Event>,
    /// The template that this runner has set on the workload.
    pub(super) known_template: Known<SetTemplate>,
}

impl Cluster {
    /// Connects to the cluster that this pod runs in.
    pub fn connect(plan: &UpgradePlan) -> Result<Self, ClusterError> {
        let mut config = connect::in_cluster()?;
        // A control plane node that is lost during a call sends nothing more: the call is made again.
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        Ok(Self { own_pod: std::env::var("POD_NAME").ok(), ..Self::new(connect::client(config)?, plan) })
    }

    /// The objects of the plan's upgrade.
    pub(super) fn new(client: Client, plan: &UpgradePlan) -> Self {
        let UpgradePlan { namespace, database, database_uid, .. } = plan;
        let owner = Owner::new::<Postgres>(database, database_uid);
        Self {
            requests: Api::namespaced(client.clone(), namespace),
            databases: Api::namespaced(client.clone(), namespace),
            workload: Owned::new(Api::namespaced(client.clone(), namespace), database, owner.clone()),
            pods: Api::namespaced(client.clone(), namespace),
            claims: Api::namespaced(client.clone(), namespace),
            service: Owned::new(Api::namespaced(client.clone(), namespace), database, owner),
            config_maps: Api::namespaced(client.clone(), namespace),
            own_pod: None,
            known_report: Known::default(),
            events: Api::namespaced(client.clone(), namespace),
            known_template: Known::default(),
            plan: plan.clone(),
            client,
        }
    }

    /// The client, for Events.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}
