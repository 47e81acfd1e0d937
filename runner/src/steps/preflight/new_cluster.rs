//! A cluster as the target's `initdb` creates it, in the worker's own file system: what the settings mean to the target,
//! which directories it will create in tablespaces, and what of the old data directory is not carried over.
//!
//! No server runs on it, and no code of users: the settings may hold secrets.

use std::collections::BTreeSet;

use super::configuration::{self, Checked};
use super::schema_rehearsal::missing_locale;
use super::{not_carried_over, old_server, volume};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::program::command::CommandError;
use crate::postgres::program::programs::Programs;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::server::scratch::{Scratch, ScratchError};
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// Examines such a cluster, and leaves nothing behind. A finding in place of the result says why there can be none.
pub async fn examine(
    upgrade: &UpgradeContext,
    programs: &Programs,
    inventory: &Inventory,
) -> Result<Result<Checked, Finding>, StepError> {
    let directory = UpgradeContext::scratch().join("new-cluster");
    let cluster = match Scratch::init(programs, &directory, &directory, &inventory.shape).await {
        Err(ScratchError::Command(CommandError::Ended { tail, .. }))
            if ReportedError::parse(&tail).is_missing_locale() =>
        {
            return Ok(Err(missing_locale("template0", &ReportedError::parse(&tail))));
        }
        initialised => initialised?,
    };
    let mut checked = configuration::check(upgrade, &cluster, inventory).await?;
    checked.findings.extend(old_server::check(upgrade, &cluster, &checked.servers).await?);
    checked.findings.extend(volume::left_in_tablespaces(upgrade, &cluster).await?);
    let agent = &programs.agent;
    let conf = agent.read_file(cluster.pgdata().join(not_carried_over::CONF)).await?;
    let names: BTreeSet<_> = agent.list_directory(cluster.pgdata()).await?.into_iter().collect();
    let notes = not_carried_over::notes(&upgrade.volume, upgrade.old_major, &conf, &names)?;
    checked.findings.extend(notes);
    cluster.remove().await?;
    Ok(Ok(checked))
}
