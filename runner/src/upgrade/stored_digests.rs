//! Digests of what the preflight has stored on the volume. `pg_upgrade` runs code of users where the volume is mounted, and
//! what it leaves is compared with what is stored: so that must be what the preflight has written.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::error::StepError;
use crate::digest::digest;
use crate::postgres::volume::work_dir::WorkDir;

/// A digest of each file that the preflight has stored, by its name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoredDigests(BTreeMap<String, String>);

impl StoredDigests {
    /// Adds the digest of a file.
    pub fn insert(&mut self, name: &str, digest: String) {
        self.0.insert(name.to_owned(), digest);
    }

    /// The digest of a file, if the preflight has stored that file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A line for each file, with its name and digest.
    pub fn to_text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (name, digest)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {digest}");
            text
        })
    }

    /// The reverse of [`Self::to_text`].
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Self(lines.map(|(name, digest)| (name.to_owned(), digest.to_owned())).collect())
    }

    /// Reads a file of the work directory. `None` if the preflight has stored none. A preflight of an earlier pgops has kept
    /// no digests: then `stored` is `None`, and the file is not verified.
    pub fn read(stored: Option<&Self>, work_dir: &WorkDir, name: &str) -> Result<Option<Vec<u8>>, StepError> {
        let path = work_dir.path().join(name);
        let content = work_dir.tree().read_if_exists(&path)?;
        let Some(Self(digests)) = stored else { return Ok(content) };
        match (digests.get(name), content) {
            (None, _) => Ok(None),
            (Some(expected), Some(content)) if *expected == digest(&content) => Ok(Some(content)),
            (Some(_), _) => Err(StepError::StoredFindingsChanged(path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_volume::Volume;
    use std::fs;

    const FILE: &str = "privileges.json";
    const OTHER_FILE: &str = "census.json";

    fn stored() -> (tempfile::TempDir, WorkDir, StoredDigests) {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        fs::write(work_dir.path().join(FILE), "{}").unwrap();
        let mut digests = StoredDigests::default();
        digests.insert(FILE, digest(b"{}"));
        (root, work_dir, digests)
    }

    #[test]
    fn file_that_the_preflight_has_stored_is_read() {
        let (_root, work_dir, digests) = stored();
        let read = |name| StoredDigests::read(Some(&digests), &work_dir, name).unwrap();
        assert_eq!(read(FILE).as_deref(), Some(&b"{}"[..]));
        assert_eq!(read(OTHER_FILE), None);
        // Of an earlier preflight of this request.
        fs::write(work_dir.path().join(OTHER_FILE), "{}").unwrap();
        assert_eq!(read(OTHER_FILE), None);
    }

    #[test]
    fn file_that_was_changed_or_removed_is_an_error() {
        let (_root, work_dir, digests) = stored();
        let path = work_dir.path().join(FILE);
        let read = |digests: Option<&StoredDigests>| StoredDigests::read(digests, &work_dir, FILE);
        fs::write(&path, "[]").unwrap();
        let error = read(Some(&digests)).unwrap_err();
        assert!(matches!(&error, StepError::StoredFindingsChanged(changed) if *changed == path), "{error}");
        assert_eq!(read(None).unwrap().as_deref(), Some(&b"[]"[..]), "an earlier release has kept no digest");
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(Some(&digests)), Err(StepError::StoredFindingsChanged(_))));
        assert_eq!(read(None).unwrap(), None);
    }

    #[test]
    fn digests_are_kept_as_lines() {
        let (_root, _work_dir, digests) = stored();
        let text = digests.to_text();
        assert_eq!(text, format!("privileges.json {}\n", digest(b"{}")));
        assert_eq!(StoredDigests::parse(&text), digests);
    }
}
