//! The passwords of the roles that the members use among themselves. They are not those of clients, and the same on every member,
//! since standbys are copies.

use std::path::Path;

use pgops_volume::FileError;

use crate::credentials::one_line;

/// Mount point of the Secret `<db>-ha`.
pub const SECRET_DIR: &str = "/etc/pgops-ha";

/// Passwords between members. No `Debug`, so that they cannot get into a log.
pub struct Passwords {
    pub replication: String,
    pub rewind: String,
}

impl Passwords {
    /// Reads those of the mounted Secret.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        Ok(Self {
            replication: one_line(directory, "replication-password")?,
            rewind: one_line(directory, "rewind-password")?,
        })
    }

    pub fn mounted() -> Result<Self, FileError> {
        Self::read(Path::new(SECRET_DIR))
    }
}
