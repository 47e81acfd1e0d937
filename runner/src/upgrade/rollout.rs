//! Replaces the pods of a database with standbys, one by one: what is done next is decided by [`rollout::next`], from what the API
//! server has, so that a runner may be killed at any time.

use std::time::Duration;

use pgops_api::failover_timings::Timings;
use pgops_api::plan::{Step, VersionRef};
use pgops_api::rollout::{self, Action, IfUnfit, SwitchoverRecord, SwitchoverState, switchover_state};
use tokio::time::Instant;

use super::context::UpgradeContext;
use super::direction::Direction;
use super::error::StepError;
use super::log::log_step;
use super::rollout_error::RolloutError;
use super::workload::MAX_POD_WAIT;
use crate::cluster::{ClusterError, Obstacle, WaitTimes};
use crate::postgres::client::catalog::accepts_writes;

/// Interval between two looks at the members. It adds to no outage: Patroni switches over by itself.
const INTERVAL: Duration = Duration::from_millis(250);
/// The same, while a switchover is awaited.
const SWITCHOVER_INTERVAL: Duration = Duration::from_millis(50);
/// The same, while a round of Patroni is awaited.
const ROUND_INTERVAL: Duration = Duration::from_millis(100);
/// How long before its next round Patroni is asked, with what is written and read before.
const LEAD: Duration = Duration::from_millis(700);
/// How long Patroni may take to act on a request: it looks for one every few seconds.
const SWITCHOVER_LIMIT: Duration = Duration::from_mins(1);
/// How often Patroni may refuse: it does so as long as a standby is not synchronous yet.
const MAX_REFUSALS: u32 = 5;

/// How far a rollout goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Until {
    /// All standbys are of the version: only a switchover can follow.
    Standbys,
    /// The primary is of the version.
    Primary,
    /// Every member is of the version.
    Done,
}

impl UpgradeContext {
    /// Replaces pods that are not of `version`, until as many are as is wanted.
    pub async fn roll_out(&self, step: Step, version: &VersionRef, until: Until) -> Result<(), StepError> {
        let version = self.pod_version(version)?;
        let streaming = self.cluster.database().await?.streaming_mode();
        let if_unfit = match self.direction {
            Direction::Back => IfUnfit::Replace,
            Direction::Forward | Direction::ForwardOnly => IfUnfit::Wait,
        };
        let mut wait = WaitTimes::begin();
        let mut refusals = 0;
        loop {
            if wait.applies() {
                self.cluster.apply_rollout(&version).await?;
            }
            let observed = self.cluster.members(&version, streaming).await?;
            if until == Until::Primary && rollout::is_primary_current(&observed) {
                break;
            }
            match rollout::next(&observed, if_unfit) {
                Action::Done => break,
                Action::SwitchOver { .. } if until == Until::Standbys => break,
                Action::SwitchOver { from, to } => {
                    if !self.switch_over(step, &from, &to).await? {
                        refusals += 1;
                    }
                    if refusals == MAX_REFUSALS {
                        return Err(RolloutError::Refused { from, to, attempts: refusals }.into());
                    }
                    wait = WaitTimes::begin();
                }
                Action::ReplacePod { name, uid } => {
                    log_step(step, format!("replacing pod {name}"));
                    self.cluster.delete_pod_named(&name, Some(uid)).await?;
                    wait = WaitTimes::begin();
                }
                Action::Stuck(obstacle) => return Err(RolloutError::Stuck(obstacle).into()),
                Action::Wait(obstacle) => self.await_members(&obstacle, until, &mut wait).await?,
            }
            tokio::time::sleep(INTERVAL).await;
        }
        self.reporter.waits_no_longer();
        Ok(())
    }

    /// What keeps the first pod of a database that is of `version` from being replaced.
    pub async fn rollout_obstacles(&self, version: &VersionRef) -> Result<Vec<rollout::Obstacle>, StepError> {
        let streaming = self.cluster.database().await?.streaming_mode();
        let observed = self.cluster.members(&self.pod_version(version)?, streaming).await?;
        Ok(rollout::obstacles(&observed))
    }

    /// The addresses of all members, which are ready.
    pub async fn member_addresses(&self) -> Result<Vec<(String, String)>, StepError> {
        let mut addresses = Vec::new();
        for pod in self.plan.pods() {
            match self.cluster.member_address(pod.clone()).await? {
                Some(address) => addresses.push((pod, address)),
                None => return Err(RolloutError::Stuck(rollout::Obstacle::NotReady { pod }).into()),
            }
        }
        Ok(addresses)
    }

    /// Waits until Patroni of the primary is about to look for a request: until then the primary accepts writes, and the time would
    /// be counted as outage. If that cannot be found out, the outage is only less exact.
    pub async fn await_next_round(&self) {
        let round = Duration::from_secs(Timings::STANDBYS.loop_wait().into());
        let renewed = async {
            let before = self.cluster.switchover_records().await?.lock.renewed;
            while self.cluster.switchover_records().await?.lock.renewed == before {
                tokio::time::sleep(ROUND_INTERVAL).await;
            }
            Ok::<_, ClusterError>(())
        };
        if let Ok(Ok(())) = tokio::time::timeout(2 * round, renewed).await {
            tokio::time::sleep(round.saturating_sub(LEAD)).await;
        }
    }

    /// Waits until the primary accepts writes, and clients reach it.
    pub async fn await_writes(&mut self, version: &VersionRef) -> Result<(), StepError> {
        let ip = self.wait_serving_pod(version, MAX_POD_WAIT).await?;
        let client = self.superuser.connect_server(&ip).await?;
        // It is labelled as the primary as soon as it has the lock.
        while !accepts_writes(&client).await? {
            tokio::time::sleep(SWITCHOVER_INTERVAL).await;
        }
        self.serving_since = Some(self.wait_serving().await);
        Ok(())
    }

    /// Has Patroni make `to` the primary; whether another member than `from` is now, or may be.
    async fn switch_over(&self, step: Step, from: &str, to: &str) -> Result<bool, StepError> {
        let asked = SwitchoverRecord::new(from, to);
        log_step(step, format!("asking Patroni to make {to} the primary instead of {from}"));
        let mut found = self.cluster.ask_switchover(&asked).await?;
        let began = Instant::now();
        loop {
            // Another client was faster: the next decision waits for it.
            if found.as_ref().is_some_and(|found| *found != asked) {
                return Ok(true);
            }
            tokio::time::sleep(SWITCHOVER_INTERVAL).await;
            let records = self.cluster.switchover_records().await?;
            let holder = records.lock.holder.as_deref();
            match switchover_state(&asked, records.found.as_ref(), holder) {
                SwitchoverState::SwitchedTo(pod) => {
                    log_step(step, format!("{pod} has become the primary"));
                    return Ok(true);
                }
                SwitchoverState::Refused => {
                    log_step(step, format!("Patroni of {from} has refused it"));
                    return Ok(false);
                }
                SwitchoverState::Foreign(_) => return Ok(true),
                SwitchoverState::Pending if holder == Some(from) && began.elapsed() >= SWITCHOVER_LIMIT => {
                    // Nothing has been stopped for it.
                    self.cluster.withdraw_switchover(&asked).await?;
                    log_step(step, format!("Patroni of {from} has not acted on it"));
                    return Ok(false);
                }
                SwitchoverState::Pending => found = records.found,
            }
        }
    }

    /// Shows what is waited for, and fails if that takes too long, or if the request is cancelled as long as only standbys have
    /// been replaced.
    async fn await_members(
        &self,
        obstacle: &rollout::Obstacle,
        until: Until,
        wait: &mut WaitTimes,
    ) -> Result<(), StepError> {
        if self.direction == Direction::Forward
            && until == Until::Standbys
            && let Some(cancelled) = self.cancel.pending()
        {
            return Err(StepError::Cancelled(cancelled));
        }
        let is_over = wait.elapsed() >= MAX_POD_WAIT;
        if !is_over && !wait.reports() {
            return Ok(());
        }
        let shown = match obstacle.awaited_pod() {
            Some(pod) => self.cluster.member_obstacle(pod).await?,
            None => Obstacle::members(obstacle),
        };
        if is_over {
            return Err(StepError::Timeout { limit: MAX_POD_WAIT, waiting: Some(shown.message) });
        }
        self.reporter.waits_for(shown);
        Ok(())
    }
}
