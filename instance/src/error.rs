//! Why the instance ends.

use std::io;

use pgops_volume::FileError;

use crate::initdb::InitdbError;
use crate::programs::ProgramsError;
use crate::server::ServerError;

/// Why the instance ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system denied signals or a socket.
    #[error("failed to {0}")]
    System(&'static str, #[source] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Initdb(#[from] InitdbError),
    #[error(transparent)]
    Server(#[from] ServerError),
}
