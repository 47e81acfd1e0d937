//! What only a database with standbys has: the objects in which Patroni keeps its state, the rights to them, and the parts of the
//! pod.

mod access;
mod config_maps;
mod pod;
#[cfg(test)]
mod tests;

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::ResourceExt;
use pgops_api::{Postgres, names};

use crate::design::{Design, StandbyDesign};
pub use pod::{affinity, environment, init_containers, lifecycle, server_mounts, volumes};

/// The objects that only a database with standbys has, all owned by it.
#[derive(Clone, Debug)]
pub struct StandbyChildren {
    /// Identity of the pods.
    pub account: ServiceAccount,
    /// What the servers may do at the API server.
    pub role: Role,
    pub binding: RoleBinding,
    /// Patroni's state.
    pub config_maps: [ConfigMap; 4],
}

/// These objects of the database, if it has standbys.
pub fn standby_children(database: &Postgres, design: &Design) -> Option<StandbyChildren> {
    let standbys = design.standbys.as_ref()?;
    let scope = design.scope(database);
    Some(StandbyChildren {
        account: access::account(database),
        role: access::role(database, standbys.servers, &scope),
        binding: access::binding(database),
        config_maps: config_maps::config_maps(database, standbys.servers, &scope),
    })
}

/// The service account of the database's pods.
pub fn pod_account(database: &Postgres, standbys: Option<&StandbyDesign>) -> String {
    let name = database.name_any();
    if standbys.is_some() { names::ha(&name) } else { name }
}
