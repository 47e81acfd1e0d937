//! Errors of one reconciliation, whichever the source.

use std::path::PathBuf;

use crate::pki::{AuthorityError, PairError};
use crate::store::{ConfigurationError, SecretError};

/// Why the certificates could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA Secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No serving certificate can be issued.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A webhook configuration cannot be read or written.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The certificate files were rejected.
    #[error("rejected the certificate in \"{}\"", .directory.display())]
    Files {
        /// Directory of the files.
        directory: PathBuf,
        /// Why they were rejected.
        #[source]
        source: PairError,
    },
    /// The watches ended, which they never do by themselves.
    #[error("the watches on the Secret and the webhook configurations ended")]
    WatchEnded,
}

impl Error {
    /// Whether a retry may succeed without restarting the process.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Secret(SecretError::Api(_)) | Self::Configuration(_) | Self::Files { .. } => true,
            Self::Secret(_) | Self::Authority(_) | Self::WatchEnded => false,
        }
    }

    /// Whether certificates were found and rejected, rather than not reachable.
    pub(crate) fn is_rejection(&self) -> bool {
        match self {
            Self::Secret(error) => !matches!(error, SecretError::Api(_) | SecretError::Generate { .. }),
            Self::Files { .. } => true,
            Self::Authority(_) | Self::Configuration(_) | Self::WatchEnded => false,
        }
    }
}
