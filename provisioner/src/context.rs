//! What every reconciliation uses.

use kube::Client;
use kube::api::PatchParams;
use kube::runtime::events::Recorder;
use pgops_api::ManagedDatabases;

use crate::apply::MANAGER;
use crate::children::Images;

pub struct Context {
    pub client: Client,
    /// Publishes Events.
    pub recorder: Recorder,
    pub images: Images,
    pub managed: ManagedDatabases,
}

/// Parameters of merge patches.
pub fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
