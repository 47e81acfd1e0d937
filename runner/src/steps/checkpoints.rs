//! Checkpoints while the database still serves: what they write need not be written during the outage, by the checkpoint
//! of the shutdown.

use std::time::{Duration, Instant};

use pgops_api::plan::{Step, UpgradeKind};

use crate::postgres::client::error::ServerError;
use crate::upgrade::{StepError, UpgradeContext, log_step, warn_step};

/// One more cannot shorten an outage by much.
const SHORT: Duration = Duration::from_secs(1);
/// How many there are at most.
const MOST: usize = 3;
/// How long they may take together. A longer one continues in the server, which waits for it before it stops.
const LIMIT: Duration = Duration::from_mins(5);

/// Has the server write what is dirty in its memory, and again if that takes long, since clients write meanwhile. A failure
/// only makes the outage longer.
pub async fn run(upgrade: &mut UpgradeContext, step: Step) {
    // A checkpoint on a full volume stops the server; `StopDatabase` reports that there is no space.
    if upgrade.kind == UpgradeKind::Major && upgrade.ensure_space().is_err() {
        return;
    }
    let cancelled = upgrade.cancel.wait();
    let work = tokio::time::timeout(limit(upgrade.plan.timeout_seconds), perform(upgrade, step));
    let result = tokio::select! {
        result = work => result,
        // The executor looks for it before the database is stopped.
        _ = cancelled => return,
    };
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn_step(step, &error),
        Err(_) => {
            tracing::warn!(%step, "the checkpoints take long, and so may the stop: the upgrade continues meanwhile");
        }
    }
    upgrade.has_made_checkpoints = true;
}

/// Never as long as the step itself may take: that would fail it.
fn limit(timeout_seconds: Option<u64>) -> Duration {
    timeout_seconds.map_or(LIMIT, |seconds| LIMIT.min(Duration::from_secs(seconds) / 2))
}

async fn perform(upgrade: &UpgradeContext, step: Step) -> Result<(), StepError> {
    let Some(ip) = upgrade.serving_pod(&upgrade.plan.from).await? else {
        return Ok(());
    };
    let client = upgrade.superuser.connect_server(&ip).await?;
    let mut took = Vec::new();
    while is_worth_another(&took) {
        let began = Instant::now();
        client.batch_execute("CHECKPOINT").await.map_err(ServerError::execute("run a checkpoint"))?;
        let duration = began.elapsed();
        took.push(duration);
        log_step(step, format!("checkpoint {} took {:.1} s", took.len(), duration.as_secs_f64()));
    }
    Ok(())
}

/// Whether another checkpoint would leave less to the one of the shutdown, after those that have taken as long as `took`
/// says. If the last took as long as the one before, clients write as fast as it does.
fn is_worth_another(took: &[Duration]) -> bool {
    match took {
        [.., last] if *last < SHORT => false,
        [.., before, last] if last >= before => false,
        _ => took.len() < MOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::none_yet(&[], true)]
    #[case::one_that_was_short(&[900], false)]
    #[case::one_that_was_long(&[38_000], true)]
    #[case::a_short_one_at_last(&[38_000, 400], false)]
    #[case::shorter_each_time(&[38_000, 5_000], true)]
    #[case::as_long_as_before(&[5_000, 5_000], false)]
    #[case::longer_than_before(&[5_000, 7_000], false)]
    #[case::as_many_as_there_may_be(&[38_000, 9_000, 3_000], false)]
    fn checkpoints_are_repeated_until_one_is_short_or_no_shorter(
        #[case] milliseconds: &[u64],
        #[case] another: bool,
    ) {
        let took: Vec<_> = milliseconds.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(is_worth_another(&took), another);
    }

    #[test]
    fn checkpoints_never_take_the_time_of_their_step() {
        assert_eq!(limit(None), LIMIT);
        assert_eq!(limit(Some(1)), Duration::from_millis(500));
        assert_eq!(limit(Some(3600)), LIMIT);
    }
}
