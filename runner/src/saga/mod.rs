//! The saga: which step comes next, decided from the journal alone.
//!
//! Each step is written as started before its effect and as succeeded after it. A runner that is
//! started again does the started step once more: every step, and every undo, finds out what of its
//! effect is there. A step that fails before the point of no return turns the saga around: what was
//! started is undone in reverse order. Past it there is only forward.

mod engine;
mod journal;

pub use engine::{Outcome, UndoError, World, run};
pub use journal::{FileJournal, Forgetful, Journal, JournalError, ReportJournal};

use jiff::Timestamp;
use pgops_api::plan::Step;
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    /// Which step it speaks of.
    pub step: Step,
    /// What happened to it.
    pub event: Event,
}

/// What happened to a step.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Event {
    /// Its effect may be there in part.
    Started,
    /// Its effect is there.
    Succeeded,
    /// It could not be done; the saga turns around, or stays here if it may not.
    Failed(Failure),
    /// Its effect is gone.
    Undone,
    /// It is not taken back, since that would lose what the new server has taken: there is only forward now.
    Committed(Failure),
    /// It could not be done, and the saga goes on without it: the upgrade is good all the same.
    GivenUp(Failure),
}

/// Why a step could not be done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// One `CamelCase` word.
    pub reason: String,
    /// A sentence with the object and the remedy.
    pub message: String,
    /// Whether the same step may succeed when it is done once more.
    #[serde(default)]
    pub may_pass: bool,
}

/// From where on there is only forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PointOfNoReturn {
    /// From the moment that this step starts: the old data does not survive it.
    StartOf(Step),
    /// From the moment that this step has succeeded: the new server was accepted.
    EndOf(Step),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do the step.
    Do(Step),
    /// Undo the step.
    Undo(Step),
    /// Nothing is left to do.
    End(Outcome),
}

/// Where a step stands, after all records.
#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Untouched,
    Started,
    Succeeded,
    Undone,
}

fn standing(records: &[Record], step: Step) -> Standing {
    let of_step = records.iter().filter(|record| record.step == step);
    of_step.fold(Standing::Untouched, |before, record| match record.event {
        Event::Started => Standing::Started,
        Event::Succeeded | Event::GivenUp(_) => Standing::Succeeded,
        Event::Undone => Standing::Undone,
        Event::Committed(_) => before,
        // A failed step may have left half of its effect.
        Event::Failed(_) => {
            if before == Standing::Untouched {
                Standing::Untouched
            } else {
                Standing::Started
            }
        }
    })
}

/// Whether the step was begun, by this runner or an earlier one.
fn was_begun(records: &[Record], step: Step) -> bool {
    standing(records, step) != Standing::Untouched
}

/// Whether the point of no return has been passed.
#[must_use]
pub fn is_committed(records: &[Record], point: PointOfNoReturn) -> bool {
    records.iter().any(|record| match point {
        PointOfNoReturn::StartOf(step) => record.step == step && record.event == Event::Started,
        PointOfNoReturn::EndOf(step) => record.step == step && record.event == Event::Succeeded,
    }) || turned(records).is_some()
}

/// Whether the saga has paused the database and not resumed it.
#[must_use]
pub fn is_paused(records: &[Record]) -> bool {
    matches!(standing(records, Step::PauseDatabase), Standing::Started | Standing::Succeeded)
        && standing(records, Step::ResumeDatabase) != Standing::Succeeded
}

/// The failure that turned the saga around, if one did.
#[must_use]
pub fn failure(records: &[Record]) -> Option<(Step, &Failure)> {
    records.iter().find_map(|record| match &record.event {
        Event::Failed(failure) => Some((record.step, failure)),
        _ => None,
    })
}

/// Why the saga went forward again, if it had to.
#[must_use]
pub fn turned(records: &[Record]) -> Option<&Failure> {
    records.iter().find_map(|record| match &record.event {
        Event::Committed(why) => Some(why),
        _ => None,
    })
}

/// The steps that the saga went on without, and why.
pub fn given_up(records: &[Record]) -> impl Iterator<Item = (Step, &Failure)> {
    records.iter().filter_map(|record| match &record.event {
        Event::GivenUp(failure) => Some((record.step, failure)),
        _ => None,
    })
}

/// Decides what comes next.
#[must_use]
pub fn next(steps: &[Step], records: &[Record], point: PointOfNoReturn) -> Next {
    if let Some((step, failure)) = failure(records)
        && !is_committed(records, point)
    {
        let undo = steps
            .iter()
            .rev()
            .find(|step| matches!(standing(records, **step), Standing::Started | Standing::Succeeded));
        return undo.map_or_else(
            || Next::End(Outcome::RolledBack { step, failure: failure.clone() }),
            |step| Next::Undo(*step),
        );
    }
    let open = steps.iter().find(|step| standing(records, **step) != Standing::Succeeded);
    open.map_or(Next::End(Outcome::Upgraded), |step| Next::Do(*step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::plan::UpgradeKind;

    const POINT: PointOfNoReturn = PointOfNoReturn::EndOf(Step::VerifyDatabase);

    fn steps() -> &'static [Step] {
        Step::sequence(UpgradeKind::Minor)
    }

    fn record(step: Step, event: Event) -> Record {
        Record { at: Timestamp::UNIX_EPOCH, step, event }
    }

    fn failed() -> Event {
        Event::Failed(Failure { reason: "Broken".into(), message: "broken".into(), may_pass: false })
    }

    #[test]
    fn begins_at_the_first_step() {
        assert_eq!(next(steps(), &[], POINT), Next::Do(Step::Preflight));
    }

    #[test]
    fn a_step_that_was_only_started_is_done_again() {
        let records = [record(Step::Preflight, Event::Started)];
        assert_eq!(next(steps(), &records, POINT), Next::Do(Step::Preflight));
    }

    #[test]
    fn a_failure_undoes_what_was_started_in_reverse_order() {
        let mut records = vec![
            record(Step::Preflight, Event::Started),
            record(Step::Preflight, Event::Succeeded),
            record(Step::PauseDatabase, Event::Started),
            record(Step::PauseDatabase, failed()),
        ];
        assert_eq!(next(steps(), &records, POINT), Next::Undo(Step::PauseDatabase));
        records.push(record(Step::PauseDatabase, Event::Undone));
        assert_eq!(next(steps(), &records, POINT), Next::Undo(Step::Preflight));
        records.push(record(Step::Preflight, Event::Undone));
        let Next::End(Outcome::RolledBack { step, .. }) = next(steps(), &records, POINT) else {
            panic!("goes on")
        };
        assert_eq!(step, Step::PauseDatabase);
    }

    #[test]
    fn past_the_point_of_no_return_a_failed_step_is_done_again() {
        let mut records: Vec<_> = steps()
            .iter()
            .take_while(|step| **step != Step::UpdateDatabase)
            .map(|step| record(*step, Event::Succeeded))
            .collect();
        records.push(record(Step::UpdateDatabase, Event::Started));
        records.push(record(Step::UpdateDatabase, failed()));
        assert_eq!(next(steps(), &records, POINT), Next::Do(Step::UpdateDatabase));
    }

    #[test]
    fn in_link_mode_the_switch_is_the_point_of_no_return() {
        let (step, point) =
            (Step::ReplacedDataDirectory, PointOfNoReturn::StartOf(Step::ReplacedDataDirectory));
        let records = [record(step, Event::Started), record(step, failed())];
        assert!(is_committed(&records, point));
        assert!(!is_committed(&records[1..], point));
    }

    #[test]
    fn a_way_back_that_would_lose_something_is_not_taken_and_what_was_undone_is_done_again() {
        let steps = Step::sequence(UpgradeKind::Major);
        let point = PointOfNoReturn::EndOf(Step::StartDatabase);
        let failure = || Failure { reason: "Broken".into(), message: "broken".into(), may_pass: false };
        let mut records: Vec<_> = steps
            .iter()
            .take_while(|step| **step != Step::StartDatabase)
            .map(|step| record(*step, Event::Succeeded))
            .collect();
        records.extend([
            record(Step::StartDatabase, Event::Started),
            record(Step::StartDatabase, Event::Failed(failure())),
            record(Step::StartDatabase, Event::Undone),
        ]);
        assert_eq!(next(steps, &records, point), Next::Undo(Step::ReplacedDataDirectory));
        records.push(record(Step::ReplacedDataDirectory, Event::Committed(failure())));
        assert!(is_committed(&records, point));
        assert_eq!(next(steps, &records, point), Next::Do(Step::StartDatabase));
    }

    #[test]
    fn a_step_that_was_given_up_is_told_and_neither_repeated_nor_turns_the_saga_around() {
        let mut records: Vec<_> = steps().iter().map(|step| record(*step, Event::Succeeded)).collect();
        let failure = Failure { reason: "Broken".into(), message: "broken".into(), may_pass: false };
        let last = records.pop().unwrap().step;
        records.push(record(last, Event::GivenUp(failure.clone())));
        assert_eq!(next(steps(), &records, POINT), Next::End(Outcome::Upgraded));
        assert_eq!(given_up(&records).collect::<Vec<_>>(), [(last, &failure)]);
    }

    #[test]
    fn ends_when_every_step_has_succeeded() {
        let records: Vec<_> = steps().iter().map(|step| record(*step, Event::Succeeded)).collect();
        assert_eq!(next(steps(), &records, POINT), Next::End(Outcome::Upgraded));
    }
}
