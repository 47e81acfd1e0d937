//! The status of a request after a step. Each step changes only what it must: what the launcher has written stays.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pgops_api::opsrequest::{
    CONDITION_FAILED, CONDITION_SUCCESSFUL, CONDITION_WAITING, Phase, PostgresOpsRequestStatus,
};
use pgops_api::{Condition, condition};

use super::facts::Facts;
use super::outage;
use super::plan::{Stage, stages};
use super::step::{IN_PROGRESS, Obstacle, Step};

/// The status with which the step is recorded; the present one if there is nothing to record.
pub fn after(facts: &Facts, step: &Step) -> PostgresOpsRequestStatus {
    let mut edit = Edit::new(facts);
    match step {
        Step::Wait(obstacle) => edit.wait(obstacle.as_ref()),
        Step::Begin { stage, message } => edit.stage(*stage, "Unknown", IN_PROGRESS, message),
        Step::Complete { stage, reason, message } => {
            if *stage == Stage::Restart {
                edit.serves();
            }
            edit.stage(*stage, "True", reason, message);
        }
        Step::Fail { stage, reason, message } => edit.stage(*stage, "False", reason, message),
        Step::DeletePod => {
            if facts.pod().is_some_and(crate::observation::ServerPod::is_ready) {
                outage::begin(&mut edit.status, facts.now);
            }
        }
        // The wait for the next server is another one.
        Step::DeleteMember { .. } | Step::SwitchOver { .. } => edit.wait(None),
        Step::Succeed { message } => {
            edit.end(Phase::Successful, CONDITION_SUCCESSFUL, CONDITION_SUCCESSFUL, message);
        }
        Step::End { reason, message } => {
            edit.serves();
            outage::leave(&mut edit.status, facts.now);
            edit.end(Phase::Failed, CONDITION_FAILED, reason, message);
        }
        Step::Propose(_)
        | Step::Change(_)
        | Step::Revert(_)
        | Step::Forget
        | Step::ProposePassword
        | Step::PromotePassword(_)
        | Step::WithdrawPassword(_)
        | Step::DiscardPassword { .. } => {}
    }
    edit.status
}

struct Edit<'a> {
    facts: &'a Facts<'a>,
    status: PostgresOpsRequestStatus,
}

impl<'a> Edit<'a> {
    fn new(facts: &'a Facts<'a>) -> Self {
        let mut status = facts.request.status.clone().unwrap_or_default();
        status.observed_generation = facts.request.metadata.generation;
        Self { facts, status }
    }

    fn set(&mut self, type_: &str, status: &str, reason: &str, message: &str) {
        let mut new = Condition::new(type_, status, reason, message, Time(self.facts.now));
        new.observed_generation = self.status.observed_generation;
        condition::set(&mut self.status.conditions, new);
    }

    fn stage(&mut self, stage: Stage, status: &str, reason: &str, message: &str) {
        self.wait(None);
        self.set(&stage.to_string(), status, reason, message);
        let stages = stages(self.facts.request, self.facts.operation);
        if let Some(number) = stages.iter().position(|it| *it == stage) {
            self.status.step = Some(format!("{}/{} {stage}", number + 1, stages.len()));
        }
    }

    /// The time of the condition is that of the reason.
    fn wait(&mut self, obstacle: Option<&Obstacle>) {
        let present = condition::find(&self.status.conditions, CONDITION_WAITING);
        let is_same =
            present.is_some_and(|present| present.reason.as_deref() == obstacle.map(|it| it.reason));
        if !is_same {
            self.status.conditions.retain(|it| it.type_ != CONDITION_WAITING);
        }
        if let Some(Obstacle { reason, message }) = obstacle {
            self.set(CONDITION_WAITING, "True", reason, message);
        }
    }

    /// Ends the outage if the pod is ready again.
    fn serves(&mut self) {
        if let Some(since) = self.facts.pod().filter(|pod| pod.is_ready()).and_then(|pod| pod.ready_since) {
            outage::end(&mut self.status, since, self.facts.now);
        }
    }

    fn end(&mut self, phase: Phase, type_: &str, reason: &str, message: &str) {
        self.wait(None);
        self.set(type_, "True", reason, message);
        self.status.phase = Some(phase);
    }
}
