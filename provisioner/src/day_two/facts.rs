//! What a decision rests on.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pgops_api::admission::{NamespacedName, RequestOptions};
use pgops_api::opsrequest::{CONDITION_WAITING, DayTwo};
use pgops_api::{Condition, Postgres, PostgresOpsRequest, condition};

use super::change::Replaced;
use super::plan::{Stage, stages};
use super::rollout::Rollout;
use super::step::{CHANGE_REFUSED, Obstacle};
use crate::expansion::Expansion;
use crate::next_pod::NextPod;
use crate::observation::{Observation, PodLookup, ServerPod};

/// How long a wait may take before it is told what is waited for.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

/// What was observed for a request that holds its database.
pub struct Facts<'a> {
    pub request: &'a PostgresOpsRequest,
    pub operation: DayTwo,
    pub database: &'a Postgres,
    pub template: Template,
    pub running: &'a Observation,
    /// What would become of the volume claim with the requested size, if one is requested.
    pub preview: Option<Expansion>,
    /// Whether the API server would take the pod that replaces the present one, if that is about to be deleted.
    pub next_pod: NextPod,
    /// The servers of a database with standbys, if these are replaced one by one.
    pub rollout: Option<Rollout>,
    pub now: Timestamp,
}

/// Whether the workload is as the spec of its database says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Template {
    /// It is, and its controller has seen that.
    Current,
    /// It will be.
    Behind,
    /// It cannot be built, with the reason and the message of the condition that says so.
    Failed { reason: &'static str, message: String },
}

/// How far a stage is.
#[derive(Clone, Copy, Debug)]
pub enum State<'a> {
    NotBegun,
    /// Since then, with the message of its condition.
    Running(Timestamp, &'a str),
    Done(&'a Condition),
    Failed(&'a Condition),
}

impl<'a> Facts<'a> {
    /// `namespace/name` of the database.
    pub fn key(&self) -> String {
        NamespacedName::of(self.database).to_string()
    }

    pub fn state(&self, stage: Stage) -> State<'a> {
        let request: &'a PostgresOpsRequest = self.request;
        let Some(found) = condition::find(request.conditions(), &stage.to_string()) else {
            return State::NotBegun;
        };
        match found.status.as_str() {
            "True" => State::Done(found),
            "False" => State::Failed(found),
            _ => State::Running(found.last_transition_time.0, found.message.as_deref().unwrap_or_default()),
        }
    }

    /// Whether any stage has begun.
    pub fn has_begun(&self) -> bool {
        stages(self.request, self.operation)
            .iter()
            .any(|stage| !matches!(self.state(*stage), State::NotBegun))
    }

    /// The stage that has failed, with its condition.
    pub fn failed(&self) -> Option<(Stage, &'a Condition)> {
        stages(self.request, self.operation).iter().find_map(|stage| match self.state(*stage) {
            State::Failed(condition) => Some((*stage, condition)),
            State::NotBegun | State::Running(..) | State::Done(_) => None,
        })
    }

    /// What the request has replaced in the spec of the database, as long as that is recorded.
    pub fn replaced(&self) -> Option<Replaced> {
        Replaced::on(self.database)
            .filter(|replaced| Some(&replaced.uid) == self.request.metadata.uid.as_ref())
    }

    pub fn pod(&self) -> Option<&'a ServerPod> {
        let running: &'a Observation = self.running;
        match &running.server_pod {
            PodLookup::Found(pod) => Some(pod),
            PodLookup::Missing | PodLookup::Unknown => None,
        }
    }

    /// Since when it waits for this reason, as its status says.
    pub fn waiting_since(&self, reason: &str) -> Option<Timestamp> {
        let waiting = self.waiting().filter(|waiting| waiting.reason.as_deref() == Some(reason));
        waiting.map(|waiting| waiting.last_transition_time.0)
    }

    /// The words of who has refused the last write, if it was refused.
    pub fn refusal(&self) -> Option<Obstacle> {
        let waiting = self.waiting().filter(|waiting| waiting.reason.as_deref() == Some(CHANGE_REFUSED))?;
        Some(Obstacle { reason: CHANGE_REFUSED, message: waiting.message.clone().unwrap_or_default() })
    }

    fn waiting(&self) -> Option<&'a Condition> {
        let request: &'a PostgresOpsRequest = self.request;
        condition::find(request.conditions(), CONDITION_WAITING)
    }

    /// Whether a wait has only begun: what each change passes through is not worth a word.
    pub fn has_just_begun(&self, since: Timestamp) -> bool {
        self.now.duration_since(since) < QUIET
    }

    /// Whether its user no longer wants it.
    pub fn is_cancelled(&self) -> bool {
        self.request.is_cancelled() || self.request.metadata.deletion_timestamp.is_some()
    }

    /// Whether a wait that began then has taken longer than the request allows, or than this if it sets no limit.
    pub fn is_over(&self, since: Timestamp, default: Option<SignedDuration>) -> bool {
        self.time_limit().or(default).is_some_and(|limit| self.now.duration_since(since) >= limit)
    }

    /// How long a stage may take, if its user has limited that.
    pub fn time_limit(&self) -> Option<SignedDuration> {
        SignedDuration::try_from(RequestOptions::parse_lenient(self.request).timeout?).ok()
    }
}
