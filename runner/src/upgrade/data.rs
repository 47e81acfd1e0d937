//! The data directories: which is active, in what state both are, and until when the old one is kept.

use jiff::Timestamp;
use pgops_api::plan::{TransferMode, UpgradeKind};
use pgops_volume::FileError;
use serde::{Deserialize, Serialize};

use super::context::UpgradeContext;
use super::error::StepError;
use super::finding::Finding;
use super::space::{Space, new_cluster};
use crate::postgres::client::inventory::Inventory;
use crate::postgres::program::controldata::ControlData;
use crate::postgres::program::initdb::initdb;
use crate::postgres::server::private_server::{Data, PrivateServer, private_hba};
use crate::postgres::server::recovery;
use crate::postgres::volume::capacity::can_reflink;
use crate::postgres::volume::data::remove_new;
use crate::postgres::volume::work_dir::Marker;

impl UpgradeContext {
    /// Whether the new version is active on the volume.
    pub fn is_switched(&self) -> Result<bool, StepError> {
        Ok(self.volume.active()? == Some(self.new_major))
    }

    /// Creates the new cluster, again if it is not as initdb left it. It is never one that has been active: the
    /// directory is ours only if it did not exist when the preflight looked.
    pub async fn ensure_fresh(&self) -> Result<(), StepError> {
        if self.work_dir.has(Marker::Fresh) {
            return Ok(());
        }
        self.remove_new_cluster()?;
        let pgdata = self.volume.data_dir(self.new_major);
        if self.volume.tree().exists(&pgdata)? {
            return Err(StepError::Findings(vec![Finding::existing_directory(&pgdata)]));
        }
        self.work_dir.mark(Marker::NewDataOwned)?;
        self.volume.tree().create_dir(&self.volume.major_dir(self.new_major))?;
        initdb(&self.new_programs().await?, &pgdata, &self.facts()?.shape).await?;
        Ok(self.work_dir.mark(Marker::Fresh)?)
    }

    /// Removes the new cluster, if this upgrade created it and it is not active.
    pub fn remove_new_cluster(&self) -> Result<(), StepError> {
        Ok(remove_new(&self.volume, &self.work_dir, self.new_major)?)
    }

    /// Brings the old data to a clean shutdown, if its last server did not.
    pub async fn ensure_clean(&self) -> Result<ControlData, StepError> {
        self.stop_leftovers().await?;
        let hba = private_hba(&self.agents.programs, &Self::scratch()).await?;
        let facts = self.facts()?;
        let options = |data: &ControlData| {
            let server = PrivateServer {
                major: self.old_major,
                data: Data::Old { commit_timestamps: data.keeps_commit_timestamps() },
                relations: facts.largest_database,
                hba: &hba,
                settings: &facts.servers,
            };
            let mut options = server.options();
            options.set("listen_addresses", "").set("unix_socket_directories", "/tmp");
            options.to_string()
        };
        let pgdata = self.volume.data_dir(self.old_major);
        Ok(recovery::ensure_clean(&self.old_programs().await?, &pgdata, options, self.interlock()?).await?)
    }

    /// What the volume has, and how large the data is. What a new cluster of this upgrade uses already is part of what is
    /// free: the preflight may be repeated.
    pub fn space(&self, inventory: &Inventory) -> Result<Space, StepError> {
        let shape = &inventory.shape;
        let taken =
            if self.work_dir.has(Marker::NewDataOwned) { self.volume.data_size(self.new_major)? } else { 0 };
        Ok(Space {
            reflink: TransferMode::Clone.since() <= self.new_major && can_reflink(&self.work_dir),
            new: new_cluster(inventory.databases.len(), inventory.relations, shape.wal_segment_bytes),
            used: self.volume.data_size(self.old_major)?,
            free: self.volume.space()?.free + taken,
        })
    }

    /// Checks again that the volume has the space that the chosen mode needs; what the new cluster uses already is part
    /// of it.
    pub fn ensure_space(&self) -> Result<(), StepError> {
        let facts = self.facts()?;
        let taken = self.volume.data_size(self.new_major)?;
        let space = Space {
            reflink: facts.mode == TransferMode::Clone,
            new: new_cluster(facts.databases.len(), facts.relations, facts.shape.wal_segment_bytes),
            used: facts.bytes,
            free: self.volume.space()?.free + taken,
        };
        space.choose(Some(facts.mode)).map(drop).map_err(|finding| StepError::Findings(vec![finding]))
    }

    /// Control data of the new cluster.
    pub async fn new_control_data(&self) -> Result<ControlData, StepError> {
        let pgdata = self.volume.data_dir(self.new_major);
        Ok(ControlData::read(&self.new_programs().await?, &pgdata).await?)
    }

    /// Control data of the old cluster, if it still has any: `pg_upgrade --link` moves it aside, and no server starts
    /// without it.
    async fn old_control_data(&self) -> Result<Option<ControlData>, StepError> {
        if !self.facts()?.mode.preserves_old_data() {
            return Ok(None);
        }
        let pgdata = self.volume.data_dir(self.old_major);
        Ok(Some(ControlData::read(&self.old_programs().await?, &pgdata).await?))
    }

    /// Marks the new cluster as upgraded, with the state of both clusters right after `pg_upgrade`.
    pub async fn record_handover(&self) -> Result<(), StepError> {
        let handover = Handover {
            old_checkpoint: self.old_control_data().await?.map(|data| data.checkpoint().to_owned()),
            new_transaction: self.new_control_data().await?.next_transaction().to_owned(),
        };
        let failed = FileError::on("write", &self.work_dir.marker(Marker::Upgraded));
        let json = serde_json::to_string(&handover).map_err(failed)?;
        Ok(self.work_dir.write_marker(Marker::Upgraded, &json)?)
    }

    fn handover(&self) -> Result<Option<Handover>, StepError> {
        let json = self.work_dir.read_marker(Marker::Upgraded)?;
        // A runner of an earlier version stored nothing.
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// Whether the old data is as `pg_upgrade` left it. A server that another client started while no worker held the
    /// interlock may have acknowledged writes: the new cluster does not have them.
    pub async fn is_old_data_untouched(&self) -> Result<bool, StepError> {
        let Some(checkpoint) = self.handover()?.and_then(|handover| handover.old_checkpoint) else {
            return Ok(true);
        };
        Ok(self.old_control_data().await?.is_none_or(|data| data.rests_at(&checkpoint)))
    }

    /// Whether no transaction has written to the new cluster: its server may have answered while no worker looked.
    pub async fn is_new_data_unwritten(&self) -> Result<bool, StepError> {
        // If nothing was stored to compare with, there may have been writes.
        let Some(handover) = self.handover()? else { return Ok(false) };
        Ok(self.new_control_data().await?.is_unwritten_since(&handover.new_transaction))
    }

    /// Until when the retired data is kept, if it was retired.
    pub fn retired_until(&self) -> Result<Option<Timestamp>, StepError> {
        Ok(self.volume.retired_until(self.old_major)?)
    }

    /// What is kept of the old data and until when, as one clause; `None` if nothing is kept.
    pub fn kept_old_data(&self) -> Result<Option<String>, StepError> {
        if self.kind == UpgradeKind::Minor {
            return Ok(None);
        }
        let until = self.retired_until()?.filter(|until| *until > Timestamp::now());
        Ok(until.map(|until| {
            let mebibytes = self.facts.as_ref().map_or(0, |facts| facts.bytes) / (1024 * 1024);
            format!(
                "the data of {} ({mebibytes} MiB) is kept on the volume until {until:.0} or until space is needed",
                self.plan.from.name
            )
        }))
    }
}

/// The state of both clusters right after `pg_upgrade`; the content of [`Marker::Upgraded`].
#[derive(Deserialize, Serialize)]
struct Handover {
    /// Checkpoint of the old data, if it still has a control file.
    old_checkpoint: Option<String>,
    /// The next transaction that would write to the new cluster.
    new_transaction: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As v0.1.0 writes it: the marker of an upgrade that was started then is read now.
    #[test]
    fn handover_keeps_its_stored_form() {
        let stored = r#"{"old_checkpoint":"0/5A3F2E8","new_transaction":"0:751"}"#;
        let handover: Handover = serde_json::from_str(stored).unwrap();
        assert_eq!(handover.old_checkpoint.as_deref(), Some("0/5A3F2E8"));
        assert_eq!(handover.new_transaction, "0:751");
        assert_eq!(serde_json::to_string(&handover).unwrap(), stored);
    }
}
