//! Where the records are kept: durable before the effect that they announce.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Record;
use crate::cluster::{Cluster, ClusterError};
use crate::postgres::volume::{Volume, sync_dir};

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("failed to write the journal {path}; nothing was done that it does not say")]
    File {
        /// The journal.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A line in the middle is no record.
    #[error("failed to read line {line} of the journal {journal}: it was changed by somebody else")]
    Garbled {
        /// The journal.
        journal: String,
        /// Number of the line, from 1.
        line: usize,
        /// Why it is no record.
        #[source]
        source: serde_json::Error,
    },
    /// The control plane refused.
    #[error("failed to keep the journal in the request's report")]
    Report(#[from] ClusterError),
}

/// Keeps records.
pub trait Journal {
    /// Every record, in order.
    fn load(&self) -> impl Future<Output = Result<Vec<Record>, JournalError>>;
    /// Makes a record durable.
    fn append(&mut self, record: &Record) -> impl Future<Output = Result<(), JournalError>>;
}

/// A file with one JSON document a line, synced after each. For upgrades whose worker has the volume.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    volume: Volume,
}

impl FileJournal {
    /// The journal of the upgrade that sees its volume so.
    #[must_use]
    pub fn new(volume: Volume) -> Self {
        Self { path: volume.journal(), volume }
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::File { path: self.path.clone(), source }
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        parse(&self.text()?, &self.path.display().to_string())
    }

    /// The whole file. Only a missing one is empty: taking an unreadable one for empty would lose it.
    fn text(&self) -> Result<String, JournalError> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            result => result.map_err(|error| self.failed(error)),
        }
    }

    fn write(&self, record: &Record) -> Result<(), JournalError> {
        let line = line(record)?;
        let text = self.text()?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)
            .map_err(|error| self.failed(error))?;
        // A cut line goes first, or the next record would be glued to it.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let written = file
            .set_len(whole as u64)
            .and_then(|()| io::Seek::seek(&mut file, io::SeekFrom::End(0)))
            .and_then(|_| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_all())
            .and_then(|()| sync_dir(self.path.parent().unwrap_or(Path::new("/"))));
        written.map_err(|error| self.failed(error))
    }
}

impl Journal for FileJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        self.read()
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        match self.write(record) {
            Err(JournalError::File { source, .. }) if source.kind() == io::ErrorKind::StorageFull => {
                self.volume.release_reserve();
                self.write(record)
            }
            result => result,
        }
    }
}

/// No journal at all, for a dry run: it changes nothing that would have to be taken back, so a runner that is
/// started again begins anew.
#[derive(Debug, Default)]
pub struct Forgetful(Vec<Record>);

impl Journal for Forgetful {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.0.clone())
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.0.push(record.clone());
        Ok(())
    }
}

/// The `ConfigMap` of the request's report, which the API server stores before it answers. For upgrades
/// that never see the volume.
pub struct ReportJournal {
    cluster: Cluster,
    text: Option<String>,
}

impl ReportJournal {
    const KEY: &str = "journal";

    /// The journal in the report of the request that `cluster` works for.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, text: None }
    }
}

impl Journal for ReportJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        let text = self.cluster.report(Self::KEY).await?.unwrap_or_default();
        parse(&text, "in the request's report")
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut text = match self.text.take() {
            Some(text) => text,
            None => self.cluster.report(Self::KEY).await?.unwrap_or_default(),
        };
        text.push_str(&line(record)?);
        self.cluster.write_report(Self::KEY, &text).await?;
        self.text = Some(text);
        Ok(())
    }
}

fn line(record: &Record) -> Result<String, JournalError> {
    let garbled = |source| JournalError::Garbled { journal: "being written".to_owned(), line: 0, source };
    Ok(serde_json::to_string(record).map_err(garbled)? + "\n")
}

/// Reads the records; a line without its end was cut by a crash, and its write never acknowledged.
fn parse(text: &str, journal: &str) -> Result<Vec<Record>, JournalError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|source| JournalError::Garbled {
            journal: journal.to_owned(),
            line: index + 1,
            source,
        })
    };
    whole.lines().enumerate().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;
    use jiff::Timestamp;
    use pgops_api::plan::Step;

    fn record(event: Event) -> Record {
        Record { at: Timestamp::UNIX_EPOCH, step: Step::PgUpgraded, event }
    }

    fn journal() -> (tempfile::TempDir, FileJournal) {
        let root = tempfile::tempdir().unwrap();
        let volume = Volume::new(root.path(), "3f9c21aa");
        volume.make_work().unwrap();
        (root, FileJournal::new(volume))
    }

    #[test]
    fn what_was_written_is_read_again() {
        let (_root, journal) = journal();
        assert_eq!(journal.read().unwrap(), []);
        journal.write(&record(Event::Started)).unwrap();
        journal.write(&record(Event::Succeeded)).unwrap();
        assert_eq!(journal.read().unwrap(), [record(Event::Started), record(Event::Succeeded)]);
    }

    #[test]
    fn a_line_cut_by_a_crash_is_dropped_and_the_next_one_is_whole() {
        let (_root, journal) = journal();
        journal.write(&record(Event::Started)).unwrap();
        let mut text = fs::read_to_string(&journal.path).unwrap();
        text.push_str("{\"at\":\"19");
        fs::write(&journal.path, text).unwrap();
        assert_eq!(journal.read().unwrap(), [record(Event::Started)]);
        journal.write(&record(Event::Undone)).unwrap();
        assert_eq!(journal.read().unwrap(), [record(Event::Started), record(Event::Undone)]);
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let (_root, journal) = journal();
        fs::write(&journal.path, b"\xff\xfe\n").unwrap();
        assert!(journal.write(&record(Event::Started)).is_err());
        assert_eq!(fs::read(&journal.path).unwrap(), b"\xff\xfe\n");
    }

    #[test]
    fn a_garbled_line_in_the_middle_is_an_error() {
        let (_root, journal) = journal();
        fs::write(&journal.path, "garbage\n").unwrap();
        assert!(journal.read().unwrap_err().to_string().contains("line 1"));
    }
}
