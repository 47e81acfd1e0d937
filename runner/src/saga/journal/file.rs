//! The journal as a file on the volume.

use std::io::{self, Seek, Write};
use std::path::PathBuf;

use pgops_volume::FileError;

use super::{Journal, JournalError, parse, to_line};
use crate::postgres::volume::work_dir::WorkDir;
use crate::saga::record::Record;

/// A file with one JSON document a line, synced after each. For upgrades whose worker mounts the volume.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    work_dir: WorkDir,
}

impl FileJournal {
    /// The journal in the work directory of an upgrade.
    #[must_use]
    pub fn new(work_dir: WorkDir) -> Self {
        Self { path: work_dir.journal(), work_dir }
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        parse(&self.text()?, &self.path.display().to_string())
    }

    /// The whole file. Only a missing one is empty: treating an unreadable one as empty would lose it.
    fn text(&self) -> Result<String, FileError> {
        Ok(self.work_dir.tree().read_text_if_exists(&self.path)?.unwrap_or_default())
    }

    fn write(&self, record: &Record) -> Result<(), JournalError> {
        let line = to_line(record)?;
        let text = self.text()?;
        let mut file = self.work_dir.tree().open_for_update(&self.path)?;
        // A cut line is removed first, or the next record would be appended to it.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)
            .and_then(|()| file.seek(io::SeekFrom::End(0)))
            .and_then(|_| file.write_all(line.as_bytes()))
            .and_then(|()| file.sync_all())
            .map_err(FileError::on("write", &self.path))?;
        Ok(self.work_dir.tree().sync_dir(self.work_dir.path())?)
    }
}

impl Journal for FileJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        self.read()
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        match self.write(record) {
            Err(JournalError::File(error)) if error.is_full() => {
                self.work_dir.release_reserve();
                self.write(record)
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::record::Event;
    use jiff::Timestamp;
    use pgops_api::plan::Step;
    use pgops_volume::Volume;
    use std::fs;

    fn record(event: Event) -> Record {
        Record { at: Timestamp::UNIX_EPOCH, step: Step::PgUpgraded, event, serving_since: None }
    }

    fn journal() -> (tempfile::TempDir, FileJournal) {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        (root, FileJournal::new(work_dir))
    }

    #[test]
    fn written_records_are_read_back() {
        let (_root, journal) = journal();
        assert_eq!(journal.read().unwrap(), []);
        journal.write(&record(Event::Started)).unwrap();
        journal.write(&record(Event::Succeeded)).unwrap();
        assert_eq!(journal.read().unwrap(), [record(Event::Started), record(Event::Succeeded)]);
    }

    #[test]
    fn line_cut_by_a_crash_is_dropped_and_the_next_is_whole() {
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
    fn unreadable_journal_is_not_treated_as_empty() {
        let (_root, journal) = journal();
        fs::write(&journal.path, b"\xff\xfe\n").unwrap();
        assert!(journal.write(&record(Event::Started)).is_err());
        assert_eq!(fs::read(&journal.path).unwrap(), b"\xff\xfe\n");
    }

    #[test]
    fn garbled_line_in_the_middle_is_an_error() {
        let (_root, journal) = journal();
        fs::write(&journal.path, "garbage\n").unwrap();
        assert!(journal.read().unwrap_err().to_string().contains("line 1"));
    }
}
