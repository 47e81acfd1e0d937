//! `UpdateStatefulSetImage`: the workload has the new image. Its strategy is `OnDelete`, so no pod
//! changes by this alone. A major upgrade has no pod now, and lets the new one in: it comes up while
//! `pg_upgrade` runs, and waits until the volume says that its version serves.

use pgops_api::layout;
use pgops_api::plan::UpgradeKind;

use super::stop_database::replace_pod;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let pgdata = layout::pgdata(upgrade.new_major);
    upgrade.cluster.set_image(&upgrade.plan.to.image, &pgdata).await?;
    if upgrade.kind == UpgradeKind::Major {
        upgrade.cluster.scale(1).await?;
    }
    Ok(())
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    let pgdata = layout::pgdata(upgrade.old_major);
    upgrade.cluster.set_image(&upgrade.plan.from.image, &pgdata).await?;
    // Of a major upgrade the old pod comes back when its stop is undone.
    if upgrade.kind == UpgradeKind::Minor {
        replace_pod(upgrade, &upgrade.plan.from.image).await?;
        upgrade.cluster.wait_ready(&upgrade.plan.from.image).await?;
    }
    Ok(())
}
