//! `StopDatabase`: the outage begins. A major upgrade takes the data for itself and proves that it was
//! shut down cleanly; a minor one lets the workload replace the pod.

use pgops_api::plan::{Step, UpgradeKind};

use super::preflight::ensure_room;
use super::world::{say, warn};
use super::{StepError, Upgrade};
use crate::cluster::{PodState, pod};
use crate::postgres::program::controldata::ControlData;
use crate::postgres::server::private_server::{Data, private_hba, server_options};
use crate::postgres::server::recovery;

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    match upgrade.kind {
        UpgradeKind::Major => {
            // On a volume that has filled up since the preflight a server that is stopped may not start again, and a
            // checkpoint may end one that could go on.
            ensure_room(upgrade)?;
            checkpoint(upgrade).await;
            upgrade.pin_here().await?;
            upgrade.exclude_others().await?;
            let data = ensure_clean(upgrade).await?;
            say(Step::StopDatabase, format!("clean shutdown at {}", data.checkpoint()));
        }
        UpgradeKind::Minor => {
            checkpoint(upgrade).await;
            replace_pod(upgrade, &upgrade.plan.to.image).await?;
        }
    }
    Ok(())
}

pub(super) async fn undo(upgrade: &mut Upgrade) -> Result<(), StepError> {
    if upgrade.kind == UpgradeKind::Major {
        let old = upgrade.plan.from.clone();
        upgrade.serve(&old).await?;
        say(Step::StopDatabase, format!("{} serves again", upgrade.plan.from.name));
    }
    Ok(())
}

/// Deletes the database's pod unless it has `image` already, and may come up; the workload makes it again.
pub(super) async fn replace_pod(upgrade: &Upgrade, image: &str) -> Result<(), StepError> {
    let Some(pod) = upgrade.cluster.pod().await? else { return Ok(()) };
    if !pod::has_image(&pod, image) || upgrade.node().is_some_and(|node| pod::waits_for_another(&pod, node)) {
        upgrade.cluster.delete_pod(&pod).await?;
    }
    Ok(())
}

/// Brings the old data to a clean shutdown, if its last server did not.
pub(super) async fn ensure_clean(upgrade: &Upgrade) -> Result<ControlData, StepError> {
    upgrade.stop_leftovers().await?;
    let hba = private_hba(&Upgrade::scratch())?;
    let relations = upgrade.facts()?.largest_database;
    let options = |data: &ControlData| {
        let data = Data::Old { commit_timestamps: data.keeps_commit_timestamps() };
        let options = server_options(upgrade.old_major, relations, &hba, data);
        format!("{options} -c listen_addresses= -c unix_socket_directories=/tmp")
    };
    let pgdata = upgrade.volume.pgdata(upgrade.old_major);
    Ok(recovery::ensure_clean(&upgrade.old_installation()?, &pgdata, options, upgrade.interlock()?).await?)
}

/// What is written now need not be written during the outage. No harm if it cannot be.
async fn checkpoint(upgrade: &Upgrade) {
    let checkpoint = async {
        if let PodState::Ready { ip } = upgrade.cluster.pod_state(&upgrade.plan.from.image).await? {
            let client = upgrade.superuser.connect(&ip, "postgres").await?;
            client.batch_execute("CHECKPOINT").await.map_err(|source| {
                crate::postgres::client::error::ServerError::Execute { action: "run a checkpoint", source }
            })?;
        }
        Ok::<_, StepError>(())
    };
    if let Err(error) = checkpoint.await {
        warn(Step::StopDatabase, &error);
    }
}
