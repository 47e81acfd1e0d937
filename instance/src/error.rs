//! Why the instance ends.

use std::io;

use pgops_api::layout::TLS_DIR;
use pgops_tls::PairError;
use pgops_volume::FileError;

use crate::gate::GateError;
use crate::ha::{PatroniError, RolesError};
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
    Gate(#[from] GateError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Patroni(#[from] PatroniError),
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The server's program could not be asked about the settings.
    #[error("failed to check the settings: {0}")]
    SettingsNotChecked(String),
    /// The server cannot be started with the mounted certificate, which could be used a moment ago.
    #[error("failed to use the server's certificate in {TLS_DIR}")]
    Certificate(#[from] PairError),
}
