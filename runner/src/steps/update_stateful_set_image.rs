//! `UpdateStatefulSetImage`: the workload has the new image. Its strategy is `OnDelete`, so no pod
//! changes by this alone. A major upgrade has no pod now, and lets the new one in: it comes up while
//! `pg_upgrade` runs, and waits until the volume says that its version serves. The Service leads to it already.

use pgops_api::layout;
use pgops_api::plan::{Step, UpgradeKind};

use super::stop_database::replace_pod;
use super::world::warn;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let pgdata = layout::pgdata(upgrade.new_major);
    upgrade.cluster.set_image(&upgrade.plan.to.image, &pgdata).await?;
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
    let pgdata = layout::pgdata(upgrade.old_major);
    upgrade.cluster.set_image(&upgrade.plan.from.image, &pgdata).await?;
    match upgrade.kind {
        // The old pod comes back when its stop is undone.
        UpgradeKind::Major => lead_early(upgrade, false).await,
        UpgradeKind::Minor => {
            replace_pod(upgrade, &upgrade.plan.from.image).await?;
            upgrade.cluster.wait_ready(&upgrade.plan.from.image).await?;
        }
    }
    Ok(())
}
