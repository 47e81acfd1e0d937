//! The objects must still be what the plan was made from.

use pgops_api::Postgres;
use pgops_api::plan::UpgradeKind;
use pgops_api::postgres::StorageType;

use super::super::{StepError, Upgrade};

pub(super) async fn check(upgrade: &Upgrade) -> Result<(), StepError> {
    let (plan, database) = (&upgrade.plan, upgrade.cluster.database().await?);
    let unexpected = |text: String| Err(StepError::Unexpected(text));
    if database.metadata.deletion_timestamp.is_some() {
        return unexpected(format!("database {} is being deleted", plan.database));
    }
    if database.spec.version != plan.from.name {
        return unexpected(format!(
            "database {} has spec.version {}, but the request was admitted for {}: apply a new request",
            plan.database, database.spec.version, plan.from.name
        ));
    }
    if upgrade.kind == UpgradeKind::Major && ephemeral(&database) {
        return unexpected(format!(
            "database {} has no durable storage: its data would not survive",
            plan.database
        ));
    }
    let image = upgrade.cluster.image().await?;
    if image != plan.from.image {
        return unexpected(format!(
            "StatefulSet {} has image {image}, but the request was admitted for {}: apply a new request",
            plan.database, plan.from.image
        ));
    }
    Ok(())
}

fn ephemeral(database: &Postgres) -> bool {
    database.spec.storage_type == Some(StorageType::Ephemeral)
}
