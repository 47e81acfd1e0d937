//! Requests from their start to their end, with objects that change as the steps say. Each step is decided from what is stored
//! alone, so that a provisioner that is stopped between two of them continues.

mod execution;
mod expansion;
mod restart;
mod roll_out;
mod rotation;
mod scaling;
mod settings;
mod start_obstacle;
mod time_limit;

use k8s_openapi::jiff::Timestamp;
use pgops_api::opsrequest::{DayTwo, Phase};
use pgops_api::postgres::auth_secret_message;
use pgops_api::{Postgres, PostgresOpsRequest, condition};
use serde_json::{Value, json};

use super::change;
use super::decide::next;
use super::facts::{Facts, Template};
use super::plan::Stage;
use super::rollout::Rollout;
use super::status;
use super::step::Step;
use crate::expansion::Expansion;
use crate::fixtures::database;
use crate::next_pod::NextPod;
use crate::observation::{Observation, PodLookup, ServerPod, ServerReport};
use crate::unready::Unready;

/// The object after the API server has applied a merge patch.
pub fn patched(database: &Postgres, patch: &Value) -> Postgres {
    let mut object = serde_json::to_value(database).unwrap();
    json_patch::merge(&mut object, patch);
    serde_json::from_value(object).unwrap()
}

struct Scenario {
    request: PostgresOpsRequest,
    database: Postgres,
    template: Template,
    running: Observation,
    preview: Option<Expansion>,
    next_pod: NextPod,
    rollout: Option<Rollout>,
    now: i64,
}

fn pod(uid: &str, created: i64, ready: Option<i64>) -> ServerPod {
    let at = |second| Timestamp::from_second(second).unwrap();
    ServerPod {
        name: "orders-0".to_owned(),
        uid: uid.to_owned(),
        created: Some(at(created)),
        ready_since: ready.map(at),
        ..ServerPod::default()
    }
}

impl Scenario {
    /// The database serves since second 10, and a request of this spec has just been started, at second 1000.
    fn new(change: Value, spec: &Value) -> Self {
        let mut all = json!({ "databaseRef": { "name": "orders" } });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        let request = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "change", "namespace": "demo", "uid": "r-1", "generation": 1 },
            "spec": all, "status": { "phase": "Progressing" },
        });
        let created = json!({
            "type": "AuthSecretCreated", "status": "True", "lastTransitionTime": "1970-01-01T00:00:05Z",
            "message": auth_secret_message("orders-auth", "s-1"),
        });
        Self {
            request: serde_json::from_value(request).unwrap(),
            database: patched(&database(change), &json!({ "status": { "conditions": [created] } })),
            template: Template::Current,
            running: Observation {
                server_pod: PodLookup::Found(pod("old", 5, Some(10))),
                ..Observation::default()
            },
            preview: None,
            next_pod: NextPod::NotAsked,
            rollout: None,
            now: 1000,
        }
    }

    fn operation(&self) -> DayTwo {
        self.request.day_two().unwrap()
    }

    /// Decides, and does what was decided, except to a pod. A second passes.
    fn step(&mut self) -> Step {
        let operation = self.operation();
        let facts = Facts {
            request: &self.request,
            operation,
            database: &self.database,
            template: self.template.clone(),
            running: &self.running,
            preview: self.preview.clone(),
            next_pod: self.next_pod.clone(),
            rollout: self.rollout.clone(),
            now: Timestamp::from_second(self.now).unwrap(),
        };
        let step = next(&facts);
        let after = status::after(&facts, &step);
        let patch = match &step {
            Step::Propose(text) => Some(change::propose(text)),
            Step::Change(_) => change::apply(&self.database, &self.request, operation).unwrap(),
            Step::Revert(replaced) => Some(change::revert(&self.database, operation, replaced)),
            Step::Forget => Some(change::forget()),
            _ => None,
        };
        self.request.status = Some(after);
        if let Some(patch) = patch {
            self.database = patched(&self.database, &patch);
        }
        self.now += 1;
        step
    }

    /// Records a step, as if it had been decided.
    fn record(&mut self, step: &Step) {
        let facts = Facts {
            request: &self.request,
            operation: self.operation(),
            database: &self.database,
            template: self.template.clone(),
            running: &self.running,
            preview: None,
            next_pod: NextPod::NotAsked,
            rollout: None,
            now: Timestamp::from_second(self.now).unwrap(),
        };
        let after = status::after(&facts, step);
        self.request.status = Some(after);
    }

    /// The next steps, in short.
    fn steps(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| short(&self.step())).collect()
    }

    fn end(&self) -> (Phase, String, String) {
        let conditions = self.request.conditions();
        let end =
            ["Successful", "Failed"].iter().find_map(|type_| condition::find(conditions, type_)).unwrap();
        (self.request.phase(), end.reason.clone().unwrap(), end.message.clone().unwrap())
    }

    fn status_of(&self, stage: Stage) -> String {
        condition::find(self.request.conditions(), &stage.to_string()).unwrap().status.clone()
    }

    fn outage(&self) -> &str {
        self.request.status.as_ref().unwrap().outage.as_deref().unwrap_or("none")
    }

    fn set_pod(&mut self, pod: Option<ServerPod>) {
        self.running.server_pod = pod.map_or(PodLookup::Missing, PodLookup::Found);
        self.running.unready = None;
    }

    fn pod(&mut self) -> &mut ServerPod {
        match &mut self.running.server_pod {
            PodLookup::Found(pod) => pod,
            PodLookup::Missing | PodLookup::Unknown => panic!("no pod"),
        }
    }

    fn outdate_pod(&mut self) {
        self.pod().is_outdated = true;
    }

    fn problem(&mut self, reason: &'static str) {
        self.running.unready = Some(Unready { reason, message: "0/1 nodes are available".to_owned() });
    }

    fn cancel(&mut self) {
        let annotation = ("pgops.dev/cancel".to_owned(), "true".to_owned());
        self.request.metadata.annotations = Some([annotation].into());
    }

    fn instance(&mut self, change: impl FnOnce(&mut ServerReport)) {
        change(self.running.instance.get_or_insert_default());
    }
}

fn short(step: &Step) -> String {
    match step {
        Step::Wait(None) => "wait".to_owned(),
        Step::Wait(Some(obstacle)) => format!("wait {}", obstacle.reason),
        Step::Begin { stage, .. } => format!("begin {stage}"),
        Step::Complete { stage, .. } => format!("complete {stage}"),
        Step::Fail { stage, reason, .. } => format!("fail {stage} {reason}"),
        Step::Propose(_) => "propose".to_owned(),
        Step::Change(_) => "change".to_owned(),
        Step::Revert(_) => "revert".to_owned(),
        Step::Forget => "forget".to_owned(),
        Step::DeletePod => "delete pod".to_owned(),
        Step::DeleteMember { name, .. } => format!("delete {name}"),
        Step::SwitchOver { from, to } => format!("switch over from {from} to {to}"),
        Step::ProposePassword => "propose password".to_owned(),
        Step::PromotePassword(id) => format!("promote {id}"),
        Step::WithdrawPassword(id) => format!("withdraw {id}"),
        Step::DiscardPassword { id, .. } => format!("discard {id}"),
        Step::Succeed { .. } => "succeed".to_owned(),
        Step::End { reason, .. } => format!("end {reason}"),
    }
}
