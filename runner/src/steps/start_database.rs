//! `StartDatabase`: the waiting pod runs the new server, and the server answers; the outage ends. In copy and clone mode
//! its first answer is the point of no return: from then on clients write. In a minor upgrade with standbys the pod of the old primary
//! is replaced, which is a standby now.

use pgops_api::plan::{Step, UpgradeKind};

use crate::upgrade::{StepError, Until, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    if upgrade.plan.has_standbys() {
        return upgrade.roll_out(Step::StartDatabase, &new, Until::Done).await;
    }
    upgrade.start_and_wait_ready(&new).await.map(drop)
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => {
            upgrade.ensure_new_server_unanswered().await?;
            upgrade.fence().await
        }
        UpgradeKind::Minor => Ok(()),
    }
}
