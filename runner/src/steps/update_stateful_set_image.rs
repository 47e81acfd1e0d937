//! `UpdateStatefulSetImage`: the workload has the new image. Its strategy is `OnDelete`, so no pod
//! changes by this alone. A major upgrade has no pod now, and lets the new one in: it comes up while
//! `pg_upgrade` runs, and waits until the volume says that its version serves. The Service leads to it already.

use pgops_api::plan::{Step, UpgradeKind};

use super::world::warn;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    upgrade.set_image(&new).await?;
    if upgrade.kind == UpgradeKind::Major {
        lead_early(upgrade, true).await;
        upgrade.pin_here().await?;
        upgrade.cluster.scale(1).await?;
    }
    Ok(())
}

/// A Service that stays as it is makes the outage longer, and is in nobody's way.
pub(super) async fn lead_early(upgrade: &Upgrade, early: bool) {
    if let Err(error) = upgrade.cluster.lead_early(early).await {
        warn(Step::UpdateStatefulSetImage, &error);
    }
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let old = upgrade.plan.from.clone();
    match upgrade.kind {
        // The old pod comes back when its stop is undone.
        UpgradeKind::Major => {
            upgrade.set_image(&old).await?;
            lead_early(upgrade, false).await;
        }
        UpgradeKind::Minor => drop(upgrade.serve(&old).await?),
    }
    Ok(())
}
