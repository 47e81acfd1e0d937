//! Which step comes next, decided from the journal alone.
//!
//! Each step is recorded as started before its effect and as succeeded after it. A runner that is restarted runs the
//! started step again: every step, and every undo, finds out what of its effect exists. A step that fails before the
//! point of no return turns the saga around: what was started is undone in reverse order. Past it the saga only moves
//! forward.

use pgops_api::plan::Step;

use super::record::{Event, Failure, Record};

/// From here on the saga only moves forward.
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
    Do(Step),
    Undo(Step),
    /// Nothing is left to do.
    End(Outcome),
}

/// How the saga ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every step has succeeded.
    Upgraded,
    /// A step failed, and every step was undone.
    RolledBack { step: Step, failure: Failure },
    /// A step failed past the point of no return, or an undo failed: an operator must help.
    Stuck { step: Step, failure: Failure },
}

/// The status of a step after all records.
#[derive(Clone, Copy, PartialEq)]
enum StepStatus {
    Untouched,
    Started,
    Succeeded,
    Undone,
}

fn status(records: &[Record], step: Step) -> StepStatus {
    let of_step = records.iter().filter(|record| record.step == step);
    of_step.fold(StepStatus::Untouched, |before, record| match record.event {
        Event::Started => StepStatus::Started,
        Event::Succeeded | Event::Skipped(_) => StepStatus::Succeeded,
        Event::Undone => StepStatus::Undone,
        Event::RollForward(_) => before,
        // The effect of a failed step may exist in part.
        Event::Failed(_) => {
            if before == StepStatus::Untouched {
                StepStatus::Untouched
            } else {
                StepStatus::Started
            }
        }
    })
}

/// Whether the step was started, by this runner or an earlier one.
pub fn was_started(records: &[Record], step: Step) -> bool {
    status(records, step) != StepStatus::Untouched
}

/// How often the step was started since anything else was recorded.
pub fn starts(records: &[Record], step: Step) -> usize {
    let is_start = |record: &&Record| record.step == step && record.event == Event::Started;
    records.iter().rev().take_while(is_start).count()
}

/// Whether the point of no return has been passed.
#[must_use]
pub fn is_committed(records: &[Record], point: PointOfNoReturn) -> bool {
    records.iter().any(|record| match point {
        PointOfNoReturn::StartOf(step) => record.step == step && record.event == Event::Started,
        PointOfNoReturn::EndOf(step) => record.step == step && record.event == Event::Succeeded,
    }) || resumed_forward(records).is_some()
}

/// Whether the saga has paused the database and not resumed it.
#[must_use]
pub fn is_paused(records: &[Record]) -> bool {
    matches!(status(records, Step::PauseDatabase), StepStatus::Started | StepStatus::Succeeded)
        && status(records, Step::ResumeDatabase) != StepStatus::Succeeded
}

/// The failure that turned the saga around, if any.
#[must_use]
pub fn failure(records: &[Record]) -> Option<(Step, &Failure)> {
    records.iter().find_map(|record| match &record.event {
        Event::Failed(failure) => Some((record.step, failure)),
        _ => None,
    })
}

/// Why the saga resumed forward after a failure, if it did.
#[must_use]
pub fn resumed_forward(records: &[Record]) -> Option<&Failure> {
    records.iter().find_map(|record| match &record.event {
        Event::RollForward(why) => Some(why),
        _ => None,
    })
}

/// The optional steps that failed and were skipped, and why.
pub fn skipped(records: &[Record]) -> impl Iterator<Item = (Step, &Failure)> {
    records.iter().filter_map(|record| match &record.event {
        Event::Skipped(failure) => Some((record.step, failure)),
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
            .find(|step| matches!(status(records, **step), StepStatus::Started | StepStatus::Succeeded));
        return undo.map_or_else(
            || Next::End(Outcome::RolledBack { step, failure: failure.clone() }),
            |step| Next::Undo(*step),
        );
    }
    let open = steps.iter().find(|step| status(records, **step) != StepStatus::Succeeded);
    open.map_or(Next::End(Outcome::Upgraded), |step| Next::Do(*step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use pgops_api::plan::UpgradeKind;

    const POINT: PointOfNoReturn = PointOfNoReturn::EndOf(Step::VerifyDatabase);

    fn steps() -> &'static [Step] {
        Step::sequence(UpgradeKind::Minor)
    }

    fn record(step: Step, event: Event) -> Record {
        Record { at: Timestamp::UNIX_EPOCH, step, event, serving_since: None }
    }

    fn broken() -> Failure {
        Failure { reason: "Broken".into(), message: "broken".into(), retryable: false }
    }

    fn failed() -> Event {
        Event::Failed(broken())
    }

    #[test]
    fn saga_begins_at_the_first_step() {
        assert_eq!(next(steps(), &[], POINT), Next::Do(Step::Preflight));
    }

    #[test]
    fn step_that_was_only_started_is_done_again() {
        let records = [record(Step::Preflight, Event::Started)];
        assert_eq!(next(steps(), &records, POINT), Next::Do(Step::Preflight));
    }

    #[test]
    fn starts_of_a_step_are_counted_since_the_last_other_record() {
        let mut records = vec![
            record(Step::Preflight, Event::Started),
            record(Step::Preflight, Event::Succeeded),
            record(Step::PauseDatabase, Event::Started),
        ];
        assert_eq!((starts(&records, Step::PauseDatabase), starts(&records, Step::Preflight)), (1, 0));
        records.push(record(Step::PauseDatabase, Event::Started));
        assert_eq!(starts(&records, Step::PauseDatabase), 2);
        records.push(record(Step::PauseDatabase, failed()));
        assert_eq!(starts(&records, Step::PauseDatabase), 0);
    }

    #[test]
    fn failure_undoes_started_steps_in_reverse_order() {
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
            panic!("continues")
        };
        assert_eq!(step, Step::PauseDatabase);
    }

    #[test]
    fn failed_step_past_the_point_of_no_return_is_done_again() {
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
    fn start_of_the_switchover_can_be_the_point_of_no_return() {
        let step = Step::ReplacedDataDirectory;
        let point = PointOfNoReturn::StartOf(step);
        let records = [record(step, Event::Started), record(step, failed())];
        assert!(is_committed(&records, point));
        assert!(!is_committed(&records[1..], point));
    }

    #[test]
    fn unsafe_undo_resumes_forward_and_redoes_undone_steps() {
        let steps = Step::sequence(UpgradeKind::Major);
        let point = PointOfNoReturn::EndOf(Step::StartDatabase);
        let mut records: Vec<_> = steps
            .iter()
            .take_while(|step| **step != Step::StartDatabase)
            .map(|step| record(*step, Event::Succeeded))
            .collect();
        records.extend([
            record(Step::StartDatabase, Event::Started),
            record(Step::StartDatabase, failed()),
            record(Step::StartDatabase, Event::Undone),
        ]);
        assert_eq!(next(steps, &records, point), Next::Undo(Step::ReplacedDataDirectory));
        records.push(record(Step::ReplacedDataDirectory, Event::RollForward(broken())));
        assert!(is_committed(&records, point));
        assert_eq!(next(steps, &records, point), Next::Do(Step::StartDatabase));
    }

    #[test]
    fn skipped_step_is_reported_and_neither_repeated_nor_fatal() {
        let mut records: Vec<_> = steps().iter().map(|step| record(*step, Event::Succeeded)).collect();
        let last = records.pop().unwrap().step;
        records.push(record(last, Event::Skipped(broken())));
        assert_eq!(next(steps(), &records, POINT), Next::End(Outcome::Upgraded));
        assert_eq!(skipped(&records).collect::<Vec<_>>(), [(last, &broken())]);
    }

    #[test]
    fn saga_ends_when_every_step_has_succeeded() {
        let records: Vec<_> = steps().iter().map(|step| record(*step, Event::Succeeded)).collect();
        assert_eq!(next(steps(), &records, POINT), Next::End(Outcome::Upgraded));
    }
}
