//! What the preflight learnt while the database could be asked, kept beside the journal: a runner
//! that is started again during the outage has nobody to ask.

use std::fs;
use std::io;
use std::path::Path;

use pgops_api::plan::TransferMode;
use serde::{Deserialize, Serialize};

use crate::postgres::cluster_shape::ClusterShape;
use crate::postgres::volume::replace;

/// What the later steps need to know of the database.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Facts {
    /// What the new cluster must have too.
    pub shape: ClusterShape,
    /// How user data gets there.
    pub mode: TransferMode,
    /// Databases that can be connected to.
    pub databases: Vec<String>,
    /// Settings of `ALTER ROLE ALL`, by name: `pg_dumpall` leaves them behind.
    pub settings_for_all: Vec<(String, String)>,
    /// Whether the dump must leave the column option [`crate::postgres::program::pg_dump::COLUMN_OPTION`] behind.
    pub drop_column_option: bool,
    /// Relations of all databases.
    pub relations: u64,
    /// Relations of the largest database.
    pub largest_database: u64,
    /// Bytes of the data directory.
    pub bytes: u64,
    /// What the preflight said to people, a line each: it stands in the report.
    #[serde(default)]
    pub said: Vec<String>,
}

const FILE: &str = "facts.json";

impl Facts {
    /// Reads them from the work directory, if the preflight got that far.
    pub fn load(work: &Path) -> io::Result<Option<Self>> {
        match fs::read(work.join(FILE)) {
            Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps them in the work directory.
    pub fn store(&self, work: &Path) -> io::Result<()> {
        replace(&work.join(FILE), &serde_json::to_vec_pretty(self)?)
    }
}
