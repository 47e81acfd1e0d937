//! `StartDatabase`: the pod, which has waited, runs the new server, and that answers; the outage ends. In copy
//! and clone mode its first answer is the point of no return: from then on clients write.

use pgops_api::plan::UpgradeKind;

use super::{StepError, Upgrade};
use crate::cluster::PodState;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    upgrade.serve(&new).await.map(drop)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => {
            refuse_once_answered(upgrade).await?;
            upgrade.exclude_others().await
        }
        UpgradeKind::Minor => Ok(()),
    }
}

/// Clients write to a server that answers: what would be lost then is not taken back.
pub(super) async fn refuse_once_answered(upgrade: &Upgrade) -> Result<(), StepError> {
    if let PodState::Ready { .. } = upgrade.cluster.pod_state(&upgrade.plan.to.image).await? {
        return Err(StepError::NoWayBack("answers by now"));
    }
    Ok(())
}
