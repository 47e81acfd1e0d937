//! `StartDatabase`: the pod runs with the new image and answers; the outage ends. In link mode its start
//! is the point of no return, in copy and clone mode its first answer: from then on clients write.

use pgops_api::plan::UpgradeKind;

use super::{StepError, Upgrade};
use crate::cluster::PodState;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let image = upgrade.plan.to.image.clone();
    upgrade.serve(&image).await.map(drop)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => {
            if let PodState::Ready { .. } = upgrade.cluster.pod_state(&upgrade.plan.to.image).await? {
                return Err(StepError::Unexpected(
                    "the new server answers by now and may have taken writes: there is no way back without a loss"
                        .to_owned(),
                ));
            }
            upgrade.exclude_others().await
        }
        UpgradeKind::Minor => Ok(()),
    }
}
