//! What every reconciliation uses.

use kube::Client;
use kube::api::PatchParams;
use kube::runtime::events::{Recorder, Reporter};
use pgops_api::ManagedDatabases;

use crate::apply::MANAGER;
use crate::builds::Builds;
use crate::children::{Images, IpFamilyArgs};
use crate::dry_runs::DryRuns;
use crate::pauses::Pauses;

pub struct Context {
    pub client: Client,
    /// Who publishes Events.
    pub reporter: Reporter,
    /// Publishes Events that are repeated as long as their cause lasts, as one series each.
    pub repeating: Recorder,
    pub images: Images,
    /// Address families of Services.
    pub ip_families: IpFamilyArgs,
    pub managed: ManagedDatabases,
    pub pauses: Pauses,
    pub builds: Builds,
    pub dry_runs: DryRuns,
}

impl Context {
    /// A context for all databases, with Services of the cluster's own address families.
    pub fn new(client: Client, reporter: Reporter, images: Images) -> Self {
        let repeating = Recorder::new(client.clone(), reporter.clone());
        Self {
            client,
            reporter,
            repeating,
            images,
            ip_families: IpFamilyArgs::default(),
            managed: ManagedDatabases::default(),
            pauses: Pauses::default(),
            builds: Builds::default(),
            dry_runs: DryRuns::default(),
        }
    }
}

/// Parameters of merge patches.
pub fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
