//! What every reconciliation uses.

use kube::Client;
use kube::api::PatchParams;
use kube::runtime::events::{Recorder, Reporter};

use crate::apply::MANAGER;
use crate::builds::Builds;
use crate::children::Images;
use crate::pauses::Pauses;

pub struct Context {
    pub client: Client,
    /// Who publishes Events.
    pub reporter: Reporter,
    /// Publishes Events that are repeated as long as their cause lasts, as one series each.
    pub repeating: Recorder,
    pub images: Images,
    pub pauses: Pauses,
    pub builds: Builds,
}

impl Context {
    pub fn new(client: Client, reporter: Reporter, images: Images) -> Self {
        let repeating = Recorder::new(client.clone(), reporter.clone());
        Self { client, reporter, repeating, images, pauses: Pauses::default(), builds: Builds::default() }
    }
}

/// Parameters of merge patches.
pub fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }
}
