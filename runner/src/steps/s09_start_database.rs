//! `StartDatabase`: the pod runs with the new image and answers; the outage ends. In link mode its start
//! is the point of no return.

use pgops_api::plan::UpgradeKind;

use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let image = upgrade.plan.to.image.clone();
    upgrade.serve(&image).await.map(drop)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => upgrade.exclude_others().await,
        UpgradeKind::Minor => Ok(()),
    }
}
