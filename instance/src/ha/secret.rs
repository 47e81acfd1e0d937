//! The passwords of the roles that the members use among themselves. They are not those of clients, and the same on every member,
//! since standbys are copies.

use std::path::Path;

use pgops_api::layout::HA_SECRET_DIR;
use pgops_api::names;
use pgops_volume::FileError;

use crate::credentials::one_line;

/// Passwords between members. No `Debug`, so that they cannot get into a log.
#[derive(Clone, Eq, PartialEq)]
pub struct Passwords {
    pub replication: String,
    pub rewind: String,
}

impl Passwords {
    /// Reads those of the mounted Secret.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        Ok(Self {
            replication: one_line(directory, names::REPLICATION_PASSWORD)?,
            rewind: one_line(directory, names::REWIND_PASSWORD)?,
        })
    }

    pub fn mounted() -> Result<Self, FileError> {
        Self::read(Path::new(HA_SECRET_DIR))
    }
}
