//! Which versions of the catalog are releases that pgops supports.

use crate::PgVersion;
use crate::constraint::Version;
use crate::version::ParseVersionError;

/// A version that the matrix can compare, but that pgops cannot upgrade from or to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnsupportedRelease {
    /// Before 10, two numbers made a major version.
    #[error("\"{0}\" is older than PostgreSQL 10")]
    TooOld(String),
    /// A pre-release, or another number of parts than `PostgreSQL` uses.
    #[error(transparent)]
    Malformed(#[from] ParseVersionError),
}

/// The release that `text` names; `version` is the same text, parsed for comparison.
pub(super) fn release(text: &str, version: &Version) -> Result<PgVersion, UnsupportedRelease> {
    if version.major < 10 {
        return Err(UnsupportedRelease::TooOld(text.to_owned()));
    }
    Ok(text.parse()?)
}
