//! `UpdateStatefulSetImage`: the workload has the new image. Its strategy is `OnDelete`, so no pod
//! changes by this alone.

use pgops_api::layout;
use pgops_api::plan::UpgradeKind;

use super::stop_database::replace_pod;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let pgdata = layout::pgdata(upgrade.new_major);
    Ok(upgrade.cluster.set_image(&upgrade.plan.to.image, &pgdata).await?)
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let pgdata = layout::pgdata(upgrade.old_major);
    upgrade.cluster.set_image(&upgrade.plan.from.image, &pgdata).await?;
    // A major upgrade has no pod now; the old one comes back when its stop is undone.
    if upgrade.kind == UpgradeKind::Minor {
        replace_pod(upgrade, &upgrade.plan.from.image).await?;
        upgrade.cluster.wait_ready(&upgrade.plan.from.image).await?;
    }
    Ok(())
}
