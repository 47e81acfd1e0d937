//! The worker of one request: the pod of its Job, with rights of its own.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{LocalObjectReference, SELinuxOptions, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use pgops_api::UpgradePlan;
use pgops_api::plan::UpgradeKind;

mod containers;
mod identity;
pub mod job;
pub mod metadata;
mod pod;
pub mod prepare;
pub mod rbac;
mod resources;
pub mod rights;
mod volumes;

/// The init container that stages the old version's programs.
pub const CONTAINER_STAGE: &str = "stage";

/// Everything from which the worker of one request is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    pub plan: UpgradePlan,
    /// Whether data must be converted: then it mounts the volume and stages the old programs.
    pub kind: UpgradeKind,
    /// Secret with the superuser's name and password.
    pub auth_secret: String,
    /// Secret with the user's settings.
    pub config_secret: Option<String>,
    /// What the runner needs to connect to a database that speaks TLS.
    pub tls: Option<DatabaseCertificates>,
    pub run_as: RunAs,
    /// Limits of the server's container.
    pub server_limits: BTreeMap<String, Quantity>,
    pub scheduling: Scheduling,
}

/// Secrets with the certificates of a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DatabaseCertificates {
    /// With the server's certificate, of which the runner gets no key.
    pub server: String,
    /// With the superuser's certificate, if clients authenticate by certificates.
    pub client: Option<String>,
}

/// The user and groups that own the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunAs {
    pub user: i64,
    pub group: Option<i64>,
    pub fs_group: Option<i64>,
    pub supplemental_groups: Option<Vec<i64>>,
    /// Label of the volume's files.
    pub se_linux: Option<SELinuxOptions>,
}

/// Where the database's pods may run, and so the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduling {
    /// Node of the database's first pod: it has the volume, and most likely the image.
    pub node: Option<String>,
    pub node_selector: Option<BTreeMap<String, String>>,
    pub tolerations: Option<Vec<Toleration>>,
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    pub priority_class: Option<String>,
}
