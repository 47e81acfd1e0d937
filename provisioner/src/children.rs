//! The objects that a `Postgres` consists of, as pure functions of its design.

mod access;
mod budget;
mod check_pod;
mod containers;
mod images;
mod ip_families;
mod metadata;
mod pod;
mod services;
mod settings;
mod standbys;
mod statefulset;
#[cfg(test)]
mod tests;
mod volumes;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use pgops_api::Postgres;

use crate::design::Design;
pub use check_pod::check_pod;
pub use images::Images;
pub use ip_families::IpFamilyArgs;
pub use metadata::{labels, metadata, not_pruned};
pub use standbys::StandbyChildren;

/// The objects that a `Postgres` consists of, all owned by it. Its secret and volume claims are not among
/// them: they outlive it, unless its deletion policy says otherwise.
#[derive(Clone, Debug)]
pub struct Children {
    /// Identity of the instance.
    pub account: ServiceAccount,
    /// Permissions of the instance.
    pub role: Role,
    pub binding: RoleBinding,
    /// Names of the pods, the primary, the standbys.
    pub services: [Service; 3],
    pub budget: PodDisruptionBudget,
    /// The settings that are in the object itself.
    pub settings: ConfigMap,
    /// What only a database with standbys has.
    pub standbys: Option<StandbyChildren>,
    pub workload: StatefulSet,
}

/// The children of a database.
pub fn children(database: &Postgres, design: &Design, images: &Images) -> Children {
    Children {
        account: access::account(database),
        role: access::role(database),
        binding: access::binding(database),
        services: services::services(database),
        budget: budget::budget(database),
        settings: settings::settings(database),
        standbys: standbys::standby_children(database, design),
        workload: statefulset::statefulset(database, design, images),
    }
}
