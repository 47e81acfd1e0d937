//! `StopDatabase`: the outage begins. A major upgrade fences the data and proves that it was shut down cleanly; a minor
//! one lets the workload replace the pod.

use pgops_api::plan::{Step, UpgradeKind};

use crate::cluster::PodState;
use crate::postgres::client::error::ServerError;
use crate::upgrade::{StepError, UpgradeContext, log_step, warn_step};

pub async fn run(upgrade: &mut UpgradeContext) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => {
            // On a volume that has filled up since the preflight a stopped server may not start again, and a
            // checkpoint may stop one that could continue.
            upgrade.ensure_space()?;
            checkpoint(upgrade).await;
            upgrade.require_node().await?;
            upgrade.fence().await?;
            let data = upgrade.ensure_clean().await?;
            log_step(Step::StopDatabase, format!("clean shutdown at {}", data.checkpoint()));
        }
        UpgradeKind::Minor => {
            checkpoint(upgrade).await;
            upgrade.replace_pod(&upgrade.plan.to.image).await?;
        }
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

/// Writes now what would otherwise be written during the outage. A failure only makes the outage longer.
async fn checkpoint(upgrade: &UpgradeContext) {
    let checkpoint = async {
        if let PodState::Ready { ip } = upgrade.cluster.pod_state(&upgrade.plan.from.image).await? {
            let client = upgrade.superuser.connect_server(&ip).await?;
            client.batch_execute("CHECKPOINT").await.map_err(ServerError::execute("run a checkpoint"))?;
        }
        Ok::<_, StepError>(())
    };
    if let Err(error) = checkpoint.await {
        warn_step(Step::StopDatabase, &error);
    }
}
