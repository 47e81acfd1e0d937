//! The error of every file operation: what was tried, on which path, and the operating system's answer.

use std::io;
use std::path::{Path, PathBuf};

use crate::refused::Refused;

/// A file operation that failed: `failed to VERB PATH`.
#[derive(Debug, thiserror::Error)]
#[error("failed to {verb} {}", path.display())]
pub struct FileError {
    verb: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl FileError {
    /// Makes the error of an operation on a path, for `map_err`.
    pub fn on<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> Self + use<E> {
        let path = path.to_owned();
        move |source| Self { verb, path, source: source.into() }
    }

    /// Makes the error of a file whose content does not parse.
    pub(crate) fn invalid(
        verb: &'static str,
        path: &Path,
        reason: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::on(verb, path)(io::Error::new(io::ErrorKind::InvalidData, reason))
    }

    /// Whether the path was not accessed at all, because of what it is or where.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.source.get_ref(), Some(source) if source.is::<Refused>())
    }

    /// The kind of the operating system's answer, such as [`io::ErrorKind::StorageFull`].
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}
