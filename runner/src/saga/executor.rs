//! Executes the saga: asks [`next`], acts, and records what happened.

use jiff::Timestamp;
use pgops_api::plan::Step;

use super::decide::{Next, Outcome, PointOfNoReturn, is_committed, next, starts, was_started};
use super::journal::{Journal, JournalError};
use super::record::{Event, Failure, Record};

/// How often a step is left to the next runner before it counts as failed. The database may be down, and the Job waits ever
/// longer before it creates a pod.
const INTERRUPTIONS: usize = 2;

/// Why a step was not done.
#[derive(Clone, Debug, PartialEq)]
pub enum ActError {
    Failed(Failure),
    /// This runner cannot continue, and another one can: as after a kill, nothing is recorded.
    Interrupted(Failure),
}

/// Why a step was not undone.
#[derive(Clone, Debug, PartialEq)]
pub enum UndoError {
    Failed(Failure),
    /// This runner cannot continue, and another one can.
    Interrupted(Failure),
    /// Undoing it would discard writes accepted by the new server.
    Unsafe(Failure),
}

/// The saga has not ended; the next runner continues it.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{step} was interrupted: {}", .failure.message)]
    Interrupted { step: Step, failure: Failure },
}

/// The actions and undo actions of the steps.
pub trait Actions {
    /// Does what makes the step shorter and needs no undo, before the step is recorded as started.
    fn prepare(&mut self, step: Step) -> impl Future<Output = ()>;
    /// Does the step; finds out what of its effect exists already. `committed` says whether the point of no return has been
    /// passed.
    fn act(&mut self, step: Step, committed: bool) -> impl Future<Output = Result<(), ActError>>;
    /// Undoes the step's effect, whether it exists in whole or in part.
    fn undo(&mut self, step: Step) -> impl Future<Output = Result<(), UndoError>>;
    /// From here on the saga only moves forward; it may depend on what the steps found out.
    fn point_of_no_return(&self) -> PointOfNoReturn;
    /// A pending cancellation; honoured only before the point of no return.
    fn cancellation(&self) -> Option<Failure>;
    /// How often a step with this failure is retried before it counts as failed; `committed` says whether the point of
    /// no return has been passed.
    fn retries(&self, failure: &Failure, committed: bool) -> u32;
    /// Waits before retry number `attempt`, from 1.
    fn before_retry(&mut self, step: Step, attempt: u32, failure: &Failure) -> impl Future<Output = ()>;
    /// Whether the upgrade succeeds without this step: its failure is reported, and the saga continues.
    fn is_optional(&self, step: Step) -> bool;
    /// Since when a server has served clients, if one does, for a record of this event that needs it.
    fn serving_since(&mut self, step: Step, event: &Event) -> impl Future<Output = Option<Timestamp>>;
    /// Shows users what was just recorded.
    fn show(&mut self, record: &Record);
}

/// Runs the saga until it ends, from where the journal left off.
pub async fn run<A: Actions, J: Journal>(
    steps: &[Step],
    actions: &mut A,
    journal: &mut J,
) -> Result<Outcome, SagaError> {
    let mut records = journal.load().await?;
    for record in &records {
        actions.show(record);
    }
    loop {
        match next(steps, &records, actions.point_of_no_return()) {
            Next::End(outcome) => return Ok(outcome),
            Next::Do(step) => {
                if let Some(stuck) = perform(step, actions, journal, &mut records).await? {
                    return Ok(stuck);
                }
            }
            Next::Undo(step) => {
                let event = match undo_with_retries(actions, step).await {
                    Ok(()) => Event::Undone,
                    Err(UndoError::Unsafe(why)) => Event::RollForward(why),
                    Err(UndoError::Failed(failure)) => return Ok(Outcome::Stuck { step, failure }),
                    Err(UndoError::Interrupted(failure)) => {
                        return Err(SagaError::Interrupted { step, failure });
                    }
                };
                append(actions, journal, &mut records, step, event).await?;
            }
        }
    }
}

/// Performs a step and records how it ended, unless it is left to the next runner; returns the outcome if the saga is stuck in
/// it.
async fn perform<A: Actions, J: Journal>(
    step: Step,
    actions: &mut A,
    journal: &mut J,
    records: &mut Vec<Record>,
) -> Result<Option<Outcome>, SagaError> {
    actions.prepare(step).await;
    // A step that was started is completed first: a server may be answering already.
    if !is_committed(records, actions.point_of_no_return())
        && !was_started(records, step)
        && let Some(failure) = actions.cancellation()
    {
        append(actions, journal, records, step, Event::Failed(failure)).await?;
        return Ok(None);
    }
    append(actions, journal, records, step, Event::Started).await?;
    // The point of no return may be this very start.
    let committed = is_committed(records, actions.point_of_no_return());
    let optional = actions.is_optional(step);
    // A skipped step does not leave the database down: the retries that the user wants are enough.
    let event = match act_with_retries(actions, step, committed, optional).await {
        Ok(()) => Event::Succeeded,
        Err(ActError::Interrupted(failure)) if starts(records, step) <= INTERRUPTIONS => {
            return Err(SagaError::Interrupted { step, failure });
        }
        Err(ActError::Failed(failure) | ActError::Interrupted(failure)) if optional => {
            Event::Skipped(failure)
        }
        Err(ActError::Failed(failure) | ActError::Interrupted(failure)) => Event::Failed(failure),
    };
    append(actions, journal, records, step, event.clone()).await?;
    Ok(match event {
        Event::Failed(failure) if committed => Some(Outcome::Stuck { step, failure }),
        _ => None,
    })
}

async fn act_with_retries<A: Actions>(
    actions: &mut A,
    step: Step,
    committed: bool,
    optional: bool,
) -> Result<(), ActError> {
    let mut attempt = 0;
    loop {
        match actions.act(step, committed).await {
            Err(ActError::Failed(failure)) if attempt < actions.retries(&failure, committed && !optional) => {
                attempt += 1;
                actions.before_retry(step, attempt, &failure).await;
            }
            result => return result,
        }
    }
}

async fn undo_with_retries<A: Actions>(actions: &mut A, step: Step) -> Result<(), UndoError> {
    let mut attempt = 0;
    loop {
        match actions.undo(step).await {
            Err(UndoError::Failed(failure)) if attempt < actions.retries(&failure, true) => {
                attempt += 1;
                actions.before_retry(step, attempt, &failure).await;
            }
            result => return result,
        }
    }
}

async fn append<A: Actions, J: Journal>(
    actions: &mut A,
    journal: &mut J,
    records: &mut Vec<Record>,
    step: Step,
    event: Event,
) -> Result<(), JournalError> {
    let serving_since = actions.serving_since(step, &event).await;
    let record = Record { at: Timestamp::now(), step, event, serving_since };
    journal.append(&record).await?;
    actions.show(&record);
    records.push(record);
    Ok(())
}

#[cfg(test)]
mod tests;
