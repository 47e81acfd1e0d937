//! `StopDatabase`: the outage begins. A major upgrade fences the data and proves that it was shut down cleanly; a minor
//! one lets the workload replace the pod. With standbys another server becomes the primary instead.

use pgops_api::plan::{Step, UpgradeKind};

use super::checkpoints;
use crate::upgrade::{StepError, Until, UpgradeContext, log_step};

/// Writes now what would otherwise be written during the outage, if this runner has not done so just before: one that
/// resumes here may have been away for long.
pub async fn prepare(upgrade: &mut UpgradeContext) {
    if !upgrade.has_made_checkpoints {
        checkpoints::run(upgrade, Step::StopDatabase).await;
    }
    if upgrade.plan.has_standbys() {
        upgrade.await_next_round().await;
    }
}

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    if upgrade.plan.has_standbys() {
        let new = upgrade.plan.to.clone();
        upgrade.roll_out(Step::StopDatabase, &new, Until::Primary).await?;
        return upgrade.await_writes(&new).await;
    }
    match upgrade.kind {
        UpgradeKind::Major => {
            // On a volume that has filled up since the preflight a stopped server may not start again.
            upgrade.ensure_space()?;
            upgrade.require_node().await?;
            upgrade.fence().await?;
            let data = upgrade.ensure_clean().await?;
            log_step(Step::StopDatabase, format!("clean shutdown at {}", data.checkpoint()));
        }
        UpgradeKind::Minor => upgrade.replace_pod(&upgrade.plan.to).await?,
    }
    Ok(())
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    if upgrade.kind == UpgradeKind::Major {
        let old = upgrade.plan.from.clone();
        upgrade.start_and_wait_ready(&old).await?;
        log_step(Step::StopDatabase, format!("{} serves again", upgrade.plan.from.name));
    }
    Ok(())
}
