//! `UpdateStatefulSetImage`: sets the new image on the workload. Its strategy is `OnDelete`, so no pod changes by this
//! alone. A major upgrade has no pod now, and starts the new one: it comes up while `pg_upgrade` runs, and waits until
//! its version is active. The Service publishes it already. In a minor upgrade with standbys their pods are replaced here, one by
//! one, while the primary serves.

use pgops_api::plan::{Step, UpgradeKind};

use crate::upgrade::{StepError, Until, UpgradeContext};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let new = upgrade.plan.to.clone();
    if upgrade.plan.has_standbys() {
        return upgrade.roll_out(Step::UpdateStatefulSetImage, &new, Until::Standbys).await;
    }
    upgrade.set_image(&new).await?;
    if upgrade.kind == UpgradeKind::Major {
        upgrade.publish_not_ready_addresses(true).await;
        upgrade.require_node().await?;
        upgrade.create_pod().await?;
    }
    Ok(())
}

pub async fn undo(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    let old = upgrade.plan.from.clone();
    if upgrade.plan.has_standbys() {
        return upgrade.roll_out(Step::UpdateStatefulSetImage, &old, Until::Done).await;
    }
    match upgrade.kind {
        // The old pod is started when its stop is undone.
        UpgradeKind::Major => {
            upgrade.set_image(&old).await?;
            upgrade.publish_not_ready_addresses(false).await;
        }
        UpgradeKind::Minor => drop(upgrade.start_and_wait_ready(&old).await?),
    }
    Ok(())
}
