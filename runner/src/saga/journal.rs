//! Where the records are kept: durable before the effect that they announce.

pub mod config_map;
pub mod file;
pub mod memory;

use pgops_api::format;
use pgops_volume::FileError;

use super::record::Record;
use crate::cluster::ClusterError;

/// The format of the records that this release writes; it reads all up to it. A step or an event that earlier releases do not
/// know needs a new one: they must neither skip the record nor take the journal for a damaged one.
pub const JOURNAL_FORMAT: u32 = 1;

/// The journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("failed to write the journal; nothing was done that is not recorded in it")]
    File(#[from] FileError),
    #[error(
        "failed to parse line {line} of the journal {journal}: it was changed by another program, or written by a newer pgops; \
         install the release that has begun this upgrade, then resume the request"
    )]
    Garbled {
        journal: String,
        /// Number of the line, from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "failed to read the journal {journal}: line {line} has format {found}, and this runner knows formats up to \
         {JOURNAL_FORMAT}; a newer pgops has begun this upgrade: install that release again, then resume the request"
    )]
    Newer {
        journal: String,
        /// Number of the line, from 1.
        line: usize,
        found: u32,
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
    Ok(format::to_json(JOURNAL_FORMAT, record).map_err(garbled)? + "\n")
}

/// Parses the records; a line without its end was cut by a crash, and its write never acknowledged.
fn parse(text: &str, journal: &str) -> Result<Vec<Record>, JournalError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let record = |(index, text): (usize, &str)| {
        let (journal, line) = (journal.to_owned(), index + 1);
        let garbled = |source| JournalError::Garbled { journal: journal.clone(), line, source };
        match format::of(text).map_err(garbled)? {
            JOURNAL_FORMAT => serde_json::from_str(text).map_err(garbled),
            found => Err(JournalError::Newer { journal, line, found }),
        }
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
    fn refusal_of_a_newer_journal_names_both_formats() {
        let newer = r#"{"format":2,"at":"2026-11-29T14:40:00Z","step":"MovedElsewhere","event":"Started"}"#;
        let error = parse(&format!("{V0_1_0}{newer}\n"), "fixture").unwrap_err();
        assert!(matches!(error, JournalError::Newer { line: 9, found: 2, .. }), "{error}");
        assert!(error.to_string().contains("format 2, and this runner knows formats up to 1"), "{error}");
        let unmarked = newer.replace("\"format\":2,", "");
        let error = parse(&format!("{unmarked}\n"), "fixture").unwrap_err();
        assert!(error.to_string().contains("line 1 of the journal fixture"), "{error}");
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
