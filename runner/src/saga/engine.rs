//! Executes the saga: asks [`next`](super::next), acts, and writes down what happened.

use jiff::Timestamp;
use pgops_api::plan::Step;

use super::{
    Event, Failure, Journal, JournalError, Next, PointOfNoReturn, Record, is_committed, next, was_begun,
};

/// How the saga ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every step has succeeded.
    Upgraded,
    /// A step failed, and everything is as it was.
    RolledBack {
        /// The step that failed.
        step: Step,
        /// Why it failed.
        failure: Failure,
    },
    /// A step failed past the point of no return, or an undo failed: a person must help.
    Stuck {
        /// The step that cannot be done or undone.
        step: Step,
        /// Why.
        failure: Failure,
    },
}

/// Why a step was not taken back.
#[derive(Clone, Debug, PartialEq)]
pub enum UndoError {
    /// It could not be.
    Failed(Failure),
    /// It must not be: what the new server has taken would be lost.
    NoWayBack(Failure),
}

/// What the steps act on.
pub trait World {
    /// Does the step; finds out what of its effect is there already.
    fn act(&mut self, step: Step) -> impl Future<Output = Result<(), Failure>>;
    /// Takes the step's effect back, whole or half as it may be.
    fn undo(&mut self, step: Step) -> impl Future<Output = Result<(), UndoError>>;
    /// From where on there is only forward; it may depend on what the steps found out.
    fn point_of_no_return(&self) -> PointOfNoReturn;
    /// A wish to stop, which is heard as long as there is a way back.
    fn cancelled(&self) -> Option<Failure>;
    /// How often a step that failed so is tried again before it counts as failed; `committed` tells that
    /// there is no way back.
    fn retries(&self, failure: &Failure, committed: bool) -> u32;
    /// Waits before try number `attempt`, from 1.
    fn before_retry(&mut self, step: Step, attempt: u32, failure: &Failure) -> impl Future<Output = ()>;
    /// Whether the upgrade is good without this step: its failure is told, and the saga goes on.
    fn is_optional(&self, step: Step) -> bool;
    /// Shows people what was just written down.
    fn show(&mut self, record: &Record);
}

/// Runs the saga to its end, from wherever the journal says that it is.
pub async fn run<W: World, J: Journal>(
    steps: &[Step],
    world: &mut W,
    journal: &mut J,
) -> Result<Outcome, JournalError> {
    let mut records = journal.load().await?;
    for record in &records {
        world.show(record);
    }
    loop {
        let committed = is_committed(&records, world.point_of_no_return());
        match next(steps, &records, world.point_of_no_return()) {
            Next::End(outcome) => return Ok(outcome),
            Next::Do(step) => {
                // A step that was begun is brought to its end first: a server may be answering already.
                if !committed
                    && !was_begun(&records, step)
                    && let Some(failure) = world.cancelled()
                {
                    write(world, journal, &mut records, step, Event::Failed(failure)).await?;
                    continue;
                }
                write(world, journal, &mut records, step, Event::Started).await?;
                // The point of no return may be this very start.
                let committed = is_committed(&records, world.point_of_no_return());
                let optional = world.is_optional(step);
                // Giving up on an optional step leaves nothing down: it needs no more tries than the user wants.
                match attempt(world, step, committed && !optional).await {
                    Ok(()) => write(world, journal, &mut records, step, Event::Succeeded).await?,
                    Err(failure) if optional => {
                        write(world, journal, &mut records, step, Event::GivenUp(failure)).await?;
                    }
                    Err(failure) => {
                        write(world, journal, &mut records, step, Event::Failed(failure.clone())).await?;
                        if committed {
                            return Ok(Outcome::Stuck { step, failure });
                        }
                    }
                }
            }
            Next::Undo(step) => {
                let event = match take_back(world, step).await {
                    Ok(()) => Event::Undone,
                    Err(UndoError::NoWayBack(why)) => Event::Committed(why),
                    Err(UndoError::Failed(failure)) => return Ok(Outcome::Stuck { step, failure }),
                };
                write(world, journal, &mut records, step, event).await?;
            }
        }
    }
}

async fn attempt<W: World>(world: &mut W, step: Step, committed: bool) -> Result<(), Failure> {
    let mut attempt = 0;
    loop {
        match world.act(step).await {
            Err(failure) if attempt < world.retries(&failure, committed) => {
                attempt += 1;
                world.before_retry(step, attempt, &failure).await;
            }
            result => return result,
        }
    }
}

async fn take_back<W: World>(world: &mut W, step: Step) -> Result<(), UndoError> {
    let mut attempt = 0;
    loop {
        match world.undo(step).await {
            Err(UndoError::Failed(failure)) if attempt < world.retries(&failure, true) => {
                attempt += 1;
                world.before_retry(step, attempt, &failure).await;
            }
            result => return result,
        }
    }
}

async fn write<W: World, J: Journal>(
    world: &mut W,
    journal: &mut J,
    records: &mut Vec<Record>,
    step: Step,
    event: Event,
) -> Result<(), JournalError> {
    let record = Record { at: Timestamp::now(), step, event };
    journal.append(&record).await?;
    world.show(&record);
    records.push(record);
    Ok(())
}

#[cfg(test)]
mod tests;
