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

    /// Whether the volume has no space left for it, see [`is_full`].
    #[must_use]
    pub fn is_full(&self) -> bool {
        is_full(&self.source)
    }

    /// The kind of the operating system's answer, such as [`io::ErrorKind::NotFound`].
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

/// Whether a volume has no space left: it is full (`ENOSPC`), or a quota limits it (`EDQUOT`).
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volume_whose_quota_is_used_up_is_full() {
        let error =
            |code: i32| FileError::on("write", Path::new("/journal"))(io::Error::from_raw_os_error(code));
        assert!(error(28).is_full() && error(122).is_full(), "ENOSPC, EDQUOT");
        assert!(!error(5).is_full(), "EIO");
    }
}
