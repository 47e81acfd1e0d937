//! The objects must still be what the plan was made from.

use pgops_api::plan::UpgradeKind;
use pgops_api::postgres::StorageType;

use crate::upgrade::{PlanMismatch, StepError, UpgradeContext};

pub async fn check(upgrade: &UpgradeContext) -> Result<(), StepError> {
    let plan = &upgrade.plan;
    let name = || plan.database.clone();
    let database = upgrade.cluster.database().await?;
    if database.metadata.deletion_timestamp.is_some() {
        return Err(PlanMismatch::Deleted { database: name() }.into());
    }
    if database.spec.version != plan.from.name {
        let version = database.spec.version;
        return Err(
            PlanMismatch::Version { database: name(), version, planned: plan.from.name.clone() }.into()
        );
    }
    if upgrade.kind == UpgradeKind::Major && database.storage_type() == StorageType::Ephemeral {
        return Err(PlanMismatch::Ephemeral { database: name() }.into());
    }
    upgrade.ensure_objects(&database).await?;
    upgrade.ensure_restartable().await?;
    let image = upgrade.cluster.image().await?;
    if image != plan.from.image {
        return Err(PlanMismatch::Image { database: name(), image, planned: plan.from.image.clone() }.into());
    }
    Ok(())
}
