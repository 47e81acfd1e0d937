//! Where the records are kept: durable before the effect that they announce.

pub mod config_map;
pub mod file;
pub mod memory;

use pgops_volume::FileError;

use super::record::Record;
use crate::cluster::ClusterError;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("failed to write the journal; nothing was done that is not recorded in it")]
    File(#[from] FileError),
    #[error("failed to parse line {line} of the journal {journal}: it was changed by another program")]
    Garbled {
        journal: String,
        /// Number of the line, from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("failed to store the journal in the request's report")]
    Report(#[from] ClusterError),
}

/// Keeps records.
pub trait Journal {
    /// Every record, in order.
    fn load(&self) -> impl Future<Output = Result<Vec<Record>, JournalError>>;
    /// Makes a record durable.
    fn append(&mut self, record: &Record) -> impl Future<Output = Result<(), JournalError>>;
}

fn to_line(record: &Record) -> Result<String, JournalError> {
    let garbled = |source| JournalError::Garbled { journal: "being written".to_owned(), line: 0, source };
    Ok(serde_json::to_string(record).map_err(garbled)? + "\n")
}

/// Parses the records; a line without its end was cut by a crash, and its write never acknowledged.
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
    use super::*;
    use crate::saga::{Event, Failure};
    use pgops_api::plan::Step;

    /// Written by v0.1.0: a request that was admitted then is resumed now, and a downgrade of pgops in between must not
    /// lose it.
    const V0_1_0: &str = include_str!("journal/fixtures/v0.1.0.jsonl");

    fn failure(reason: &str, message: &str, retryable: bool) -> Failure {
        Failure { reason: reason.into(), message: message.into(), retryable }
    }

    #[test]
    fn journal_of_v0_1_0_is_read() {
        let records = parse(V0_1_0, "fixture").unwrap();
        let events: Vec<_> = records.into_iter().map(|record| (record.step, record.event)).collect();
        let broken_pod =
            "pod orders-0 cannot start: container postgres: ImagePullBackOff: \"no such image\"\nsecond line";
        let has_run = "the new server has run and may have taken writes";
        assert_eq!(
            events,
            [
                (Step::CopiedOldBinaries, Event::Started),
                (Step::CopiedOldBinaries, Event::Succeeded),
                (Step::StartDatabase, Event::Started),
                (Step::StartDatabase, Event::Failed(failure("StartDatabaseFailed", broken_pod, true))),
                (Step::StartDatabase, Event::Undone),
                (
                    Step::ReplacedDataDirectory,
                    Event::RollForward(failure("ReplacedDataDirectoryFailed", has_run, false))
                ),
                (Step::Analyze, Event::Started),
                (Step::Analyze, Event::Skipped(failure("AnalyzeFailed", "vacuumdb: exit status: 1", false))),
            ]
        );
    }

    #[test]
    fn journal_is_written_as_v0_1_0_wrote_it() {
        let records = parse(V0_1_0, "fixture").unwrap();
        let text: String = records.iter().map(|record| to_line(record).unwrap()).collect();
        assert_eq!(text, V0_1_0);
    }

    #[test]
    fn journal_keeps_since_when_a_server_has_served() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let record = Record {
            at: at(9),
            step: Step::StartDatabase,
            event: Event::Succeeded,
            serving_since: Some(at(8)),
        };
        assert_eq!(parse(&to_line(&record).unwrap(), "test").unwrap(), [record]);
    }

    #[test]
    fn failure_without_retryable_is_not_retried() {
        let failure: Failure = serde_json::from_str(r#"{"reason":"Broken","message":"broken"}"#).unwrap();
        assert!(!failure.retryable);
    }
}
