//! A cluster as the target's `initdb` creates it, in the worker's own file system: what the settings mean to the target,
//! which directories it will create in tablespaces, and what of the old data directory is not carried over.
//!
//! No code of users runs on it: the settings may hold secrets. A server does only in a minor upgrade, without those settings.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::configuration::{self, Checked};
use super::dump_findings::missing_locale;
use super::not_carried_over::NewDirectory;
use super::{not_carried_over, old_server, volume};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::cluster_shape::ClusterShape;
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
    let directory = directory();
    let cluster = match create(programs, &inventory.shape, &directory).await? {
        Err(finding) => return Ok(Err(finding)),
        Ok(cluster) => cluster,
    };
    let mut checked = configuration::check(upgrade, &cluster, inventory).await?;
    checked.findings.extend(old_server::check(upgrade, &cluster, &checked.servers).await?);
    checked.findings.extend(volume::left_in_tablespaces(upgrade, &cluster).await?);
    let agent = &programs.agent;
    let conf = agent.read_file(cluster.pgdata().join(not_carried_over::CONF)).await?;
    let names: BTreeSet<_> = agent.list_directory(cluster.pgdata()).await?.into_iter().collect();
    let new = NewDirectory { conf: &conf, names: &names };
    let wal_segment_bytes = inventory.shape.wal_segment_bytes;
    let notes = not_carried_over::notes(&upgrade.volume, upgrade.old_major, wal_segment_bytes, &new)?;
    checked.findings.extend(notes);
    cluster.remove().await?;
    Ok(Ok(checked))
}

/// Where such a cluster is.
fn directory() -> PathBuf {
    UpgradeContext::scratch().join("new-cluster")
}

/// Creates such a cluster; a server on it would have its socket in `socket_dir`. A finding in place of it says why there can be
/// none.
pub async fn create(
    programs: &Programs,
    shape: &ClusterShape,
    socket_dir: &Path,
) -> Result<Result<Scratch, Finding>, StepError> {
    match Scratch::init(programs, &directory(), socket_dir, shape).await {
        Err(ScratchError::Command(CommandError::Ended { tail, .. }))
            if ReportedError::parse(&tail).is_missing_locale() =>
        {
            Ok(Err(missing_locale("template0", &ReportedError::parse(&tail))))
        }
        initialised => Ok(Ok(initialised?)),
    }
}
