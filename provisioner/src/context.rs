//! What every reconciliation uses.

use kube::Client;
use kube::api::PatchParams;
use kube::runtime::events::Recorder;

use crate::apply::MANAGER;
use crate::children::{Images, IpFamilyArgs};

pub struct Context {
    pub client: Client,
    /// Publishes Events.
    pub recorder: Recorder,
    pub images: Images,
    /// Address families of Services.
    pub ip_families: IpFamilyArgs,
}

/// Parameters of merge patches.
pub fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
