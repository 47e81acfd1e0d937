//! Gives a finished dump to the rehearsal, where code of users may read it: without the passwords in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::postgres::archive::secrets::{SecretsError, hide_secrets};

/// A dump could not be given to the rehearsal.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("failed to read the dump {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("failed to hide the passwords in the dump {0}")]
    Hide(PathBuf, #[source] SecretsError),
    #[error("failed to write the dump {0}")]
    Write(PathBuf, #[source] io::Error),
}

/// Writes the dump `from` to the path `to`, and removes `from`, which no other container can read.
pub fn run(from: &Path, to: &Path) -> Result<(), PublishError> {
    let mut archive = fs::read(from).map_err(|source| PublishError::Read(from.to_owned(), source))?;
    hide_secrets(&mut archive).map_err(|source| PublishError::Hide(from.to_owned(), source))?;
    fs::write(to, archive)
        .and_then(|()| fs::remove_file(from))
        .map_err(|source| PublishError::Write(to.to_owned(), source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::archive::tests::archive;

    #[test]
    fn dump_is_published_without_passwords_and_the_original_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("private"), directory.path().join("schema-0.dump"));
        let definition = "CREATE USER MAPPING FOR a SERVER b OPTIONS (password 'geheim');";
        fs::write(&from, archive(16, &[("USER MAPPING", definition)])).unwrap();
        run(&from, &to).unwrap();
        let published = String::from_utf8_lossy(&fs::read(&to).unwrap()).into_owned();
        assert!(published.contains("password 'xxxxxx'") && !published.contains("geheim"), "{published}");
        assert!(!from.exists());
    }

    #[test]
    fn dump_that_cannot_be_read_is_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("private"), directory.path().join("schema-0.dump"));
        fs::write(&from, archive(99, &[])).unwrap();
        let error = pgops_api::display_chain(&run(&from, &to).unwrap_err());
        assert!(error.contains("format 1.99"), "{error}");
        assert!(!to.exists());
    }
}
