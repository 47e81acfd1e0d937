//! What the saga's executor does with a step: it runs it by the table of steps, with its timeout, and shows the result.

use std::time::Duration;

use jiff::Timestamp;
use pgops_api::plan::{Scope, Step};

use crate::outage::OutageChange;
use crate::saga::{ActError, Actions, Event, Failure, PointOfNoReturn, Record, UndoError};
use crate::steps::{self, Stopped, spec};
use crate::upgrade::{Direction, StepError, UpgradeContext, log_step};

/// Retries of a step past the point of no return, where a failure leaves the database down.
const COMMITTED_RETRIES: u32 = 20;

impl Actions for UpgradeContext {
    async fn prepare(&mut self, step: Step) {
        if let Some(prepare) = spec(step).prepare {
            prepare(self).await;
        }
    }

    async fn act(&mut self, step: Step, committed: bool) -> Result<(), ActError> {
        self.direction = Direction::forward(committed);
        let spec = spec(step);
        let timeout = self.plan.timeout_seconds.map(Duration::from_secs).or(spec.timeout);
        let cancelled = self.cancel.wait();
        let work = async {
            match with_timeout(timeout, (spec.run)(self)).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    let error = self.explained(self.with_wait(error)).await;
                    log_whole(step, &error);
                    Err(act_error(&error, step, self.plan.scope))
                }
            }
        };
        let result = tokio::select! {
            result = work => result,
            // A cancelled step leaves nothing running, and is undone.
            failure = cancelled, if spec.interruptible => Err(ActError::Failed(failure)),
        };
        self.reporter.waits_no_longer();
        result
    }

    async fn undo(&mut self, step: Step) -> Result<(), UndoError> {
        tracing::info!(step = %step, mark = "undo", "undoing");
        self.direction = Direction::Back;
        self.reporter.undoing(step);
        // An undo needs a little space, and the failed step may have used up all of it.
        self.work_dir.release_reserve();
        let spec = spec(step);
        let Some(undo) = spec.undo else { return Ok(()) };
        let limit = undo_limit(spec.undo_timeout, self.plan.timeout_seconds);
        let result = with_timeout(limit, undo(self)).await.map_err(|error| {
            let error = self.with_wait(error);
            log_whole(step, &error);
            error.undo_error(step)
        });
        self.reporter.waits_no_longer();
        result
    }

    fn point_of_no_return(&self) -> PointOfNoReturn {
        steps::point_of_no_return(self.kind, self.facts.as_ref().map(|facts| facts.mode))
    }

    fn cancellation(&self) -> Option<Failure> {
        // A new server that may start may have answered.
        self.cancel.pending().filter(|_| !self.is_switched().unwrap_or(true))
    }

    fn retries(&self, failure: &Failure, committed: bool) -> u32 {
        match (committed, failure.retryable) {
            (true, _) => COMMITTED_RETRIES,
            (false, true) => self.plan.max_retries,
            // The next attempt would fail too, and each may be an outage.
            (false, false) => 0,
        }
    }

    async fn before_retry(&mut self, step: Step, attempt: u32, failure: &Failure) {
        let wait = Duration::from_secs(u64::from(attempt.min(30)));
        tracing::warn!(%step, attempt, "{}; retrying in {} s", failure.message, wait.as_secs());
        self.reporter.retry(step, attempt, failure);
        self.attempts_left = COMMITTED_RETRIES.saturating_sub(attempt);
        // On a full volume the next attempt may need only a little space: for the switchover, or a server's first files.
        self.work_dir.release_reserve();
        tokio::time::sleep(wait).await;
    }

    fn is_optional(&self, step: Step) -> bool {
        spec(step).optional
    }

    async fn serving_since(&mut self, step: Step, event: &Event) -> Option<Timestamp> {
        match self.outage_change(step, event)? {
            OutageChange::Begins => self.observe_serving().await,
            // Patroni keeps a server serving, whatever became of the step.
            OutageChange::Ends if self.serving_since.is_none() && self.plan.has_standbys() => {
                self.observe_serving().await
            }
            OutageChange::Ends => self.serving_since,
        }
    }

    fn show(&mut self, record: &Record) {
        // The next step, or undo, has all of its attempts.
        self.attempts_left = COMMITTED_RETRIES;
        let outage = self.outage_change(record.step, &record.event);
        self.reporter.show(record, outage);
        let step = record.step;
        match (&record.event, outage) {
            (Event::Started, Some(OutageChange::Begins)) => {
                tracing::info!(%step, mark = "down", "the outage begins: writes stop");
            }
            (Event::Started, _) => tracing::info!(%step, mark = "...", "started"),
            (Event::Succeeded, Some(OutageChange::Ends)) => {
                let outage = self.reporter.outage();
                tracing::info!(%step, mark = "up", "the outage ends after {outage}: the new server answers");
            }
            (Event::Succeeded, _) => tracing::info!(%step, mark = "ok", "done"),
            (Event::Failed(failure), _) => {
                tracing::error!(%step, reason = failure.reason, "{}", failure.message);
            }
            (Event::Skipped(failure), _) => tracing::warn!(
                %step,
                reason = failure.reason,
                "{}; the upgrade continues without this step",
                failure.message
            ),
            (Event::Undone, Some(OutageChange::Ends)) if self.reporter.outage().has_begun() => {
                tracing::info!(%step, mark = "undo", "undone; outage: {}", self.reporter.outage());
            }
            (Event::Undone, _) => tracing::info!(%step, mark = "undo", "undone"),
            (Event::RollForward(why), _) => {
                tracing::warn!(%step, reason = "UndoUnsafe", "{}; the upgrade resumes forward", why.message);
            }
        }
    }
}

impl UpgradeContext {
    fn outage_change(&self, step: Step, event: &Event) -> Option<OutageChange> {
        let stopped = if self.plan.has_standbys() { Stopped::OneByOne } else { Stopped::Only };
        steps::outage_change(self.kind, stopped, step, event)
    }

    /// The error, with what the step waited for if that took too long.
    fn with_wait(&self, error: StepError) -> StepError {
        match error {
            StepError::Timeout { limit, waiting: None } => {
                StepError::Timeout { limit, waiting: self.reporter.waiting() }
            }
            other => other,
        }
    }

    /// The error, with the reason for which another container has ended, if it is a lack of memory.
    async fn explained(&self, error: StepError) -> StepError {
        let Some(container) = error.lost_container() else { return error };
        match self.cluster.memory_kill(container).await {
            Some(kill) => StepError::OutOfMemory { kill, source: Box::new(error) },
            None => error,
        }
    }
}

/// Logs all of an error whose message is too long to be recorded.
fn log_whole(step: Step, error: &StepError) {
    for line in error.whole_message().iter().flat_map(|message| message.lines()) {
        log_step(step, line);
    }
}

/// A lost container of the worker exists again in the next pod, which finds what exists of the step's effect, as it does after
/// a kill. A dry run, which has no journal, would begin again, and nothing depends on its end.
fn act_error(error: &StepError, step: Step, scope: Scope) -> ActError {
    let failure = error.failure(step);
    match (error.lost_container(), scope) {
        (Some(_), Scope::Upgrade) => ActError::Interrupted(failure),
        (None, _) | (_, Scope::DryRun) => ActError::Failed(failure),
    }
}

/// Fails `work` with a timeout error after `limit`.
async fn with_timeout(
    limit: Option<Duration>,
    work: impl Future<Output = Result<(), StepError>>,
) -> Result<(), StepError> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(limit, work).await.unwrap_or(Err(StepError::Timeout { limit, waiting: None }))
}

/// The limit of an undo: that of `spec.timeout` instead of its own, if it has one. Without it, it works on the data, and must
/// not be interrupted.
fn undo_limit(own: Option<Duration>, timeout_seconds: Option<u64>) -> Option<Duration> {
    own.map(|own| timeout_seconds.map_or(own, Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentError;

    #[test]
    fn step_of_an_upgrade_is_left_to_the_next_pod_if_a_container_is_lost() {
        let lost =
            || StepError::from(AgentError::Silent { container: "programs", limit: Duration::from_mins(1) });
        let interrupted = act_error(&lost(), Step::PgUpgraded, Scope::Upgrade);
        assert!(matches!(interrupted, ActError::Interrupted(_)), "{interrupted:?}");
        let undo = lost().undo_error(Step::PgUpgraded);
        assert!(matches!(undo, UndoError::Interrupted(_)), "{undo:?}");
        let of_dry_run = act_error(&lost(), Step::Preflight, Scope::DryRun);
        assert!(matches!(of_dry_run, ActError::Failed(_)), "{of_dry_run:?}");
        let other = act_error(&StepError::NotFenced, Step::PgUpgraded, Scope::Upgrade);
        assert!(matches!(other, ActError::Failed(_)), "{other:?}");
    }

    #[test]
    fn undo_that_waits_obeys_the_timeout_of_the_request() {
        let own = Duration::from_mins(15);
        assert_eq!(undo_limit(Some(own), Some(60)), Some(Duration::from_mins(1)));
        assert_eq!(undo_limit(Some(own), None), Some(own));
        assert_eq!(undo_limit(None, Some(60)), None);
    }
}
