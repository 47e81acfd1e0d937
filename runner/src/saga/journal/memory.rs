//! The journal of a dry run.

use super::{Journal, JournalError};
use crate::saga::record::Record;

/// Records that end with this process. A dry run changes nothing that would have to be undone, so a restarted runner
/// starts from the beginning.
#[derive(Debug, Default)]
pub struct MemoryJournal(Vec<Record>);

impl Journal for MemoryJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.0.clone())
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.0.push(record.clone());
        Ok(())
    }
}
