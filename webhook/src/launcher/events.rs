//! What an action announces: Events on the request, and log lines.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};
use pgops_api::PostgresOpsRequest;
use pgops_api::plan::Scope;

use super::action::Action;
use super::state::{State, request_key};
use super::waiting;

/// Longest note of an Event, in bytes.
const MAX_NOTE: usize = 1000;

/// An Event on a request.
#[derive(Debug, PartialEq)]
pub struct EventSpec {
    pub type_: EventType,
    pub reason: String,
    pub message: String,
}

impl EventSpec {
    pub fn normal(reason: &str, message: String) -> Self {
        Self { type_: EventType::Normal, reason: reason.to_owned(), message }
    }

    pub fn warning(reason: &str, message: String) -> Self {
        Self { type_: EventType::Warning, reason: reason.to_owned(), message }
    }
}

/// The Event that announces the action, once it is done.
pub fn announcement(state: &State, action: &Action) -> Option<EventSpec> {
    let database = state.database_key();
    Some(match action {
        // Once for each reason: the words of the API server have another random name at each attempt.
        Action::Wait { reason, .. } | Action::Warn { reason, .. }
            if waiting::since(&state.request, reason).is_some() =>
        {
            return None;
        }
        Action::Wait { reason, message } => EventSpec::normal(reason, message.clone()),
        Action::Deny { message, .. } => EventSpec::warning("Denied", message.clone()),
        Action::MarkProgressing => EventSpec::normal("Launched", launched(state)),
        Action::Warn { reason, message } => EventSpec::warning(reason, message.clone()),
        Action::Fail { reason, message } => EventSpec::warning(reason, message.clone()),
        Action::Succeed { message } => EventSpec::normal("Successful", message.clone()),
        Action::EndPods { grace: Some(_) } => EventSpec::normal("PodEnded", pod_ended(state)),
        Action::FreeVolume => EventSpec::warning("VolumeFreed", volume_freed(state)),
        Action::Resume => {
            EventSpec::normal("CarriesOn", format!("the upgrade of {database} resumes from its journal"))
        }
        Action::ClearResume { rejected: Some(why) } => EventSpec::warning("NothingToCarryOn", why.clone()),
        _ => return None,
    })
}

fn launched(state: &State) -> String {
    let request = &state.request;
    if let Some(operation) = request.day_two() {
        return format!("{operation} of {} starts", state.database_key());
    }
    let does = match request.scope() {
        Scope::Upgrade => "upgrades",
        Scope::DryRun => "checks (dry run) the upgrade of",
    };
    format!(
        "job {} {does} {} from {} to {}",
        state.job_name(),
        state.database_key(),
        request.from_version().unwrap_or("its version"),
        request.target().unwrap_or_default()
    )
}

fn pod_ended(state: &State) -> String {
    format!(
        "the pod of job {} was deleted: its runner has ended, and a container that pgops did not create kept it alive",
        state.job_name()
    )
}

fn volume_freed(state: &State) -> String {
    format!(
        "the pod of {} was deleted: it does not serve, and kept the volume on another node than the worker's",
        state.database_key()
    )
}

/// Logs the action, once it is done.
pub fn log(state: &State, action: &Action) {
    let request = request_key(&state.request);
    let database = state.database_key();
    match action {
        Action::Deny { reason, .. } => tracing::info!(request, database, reason, "denied the request"),
        Action::Warn { reason, message } => tracing::warn!(request, database, reason, message),
        Action::EndPods { .. } => {
            tracing::info!(request, database, job = state.job_name(), "ended the pods of a Job");
        }
        Action::FreeVolume => {
            tracing::info!(
                request,
                database,
                "deleted the database's pod: it kept the volume on another node"
            );
        }
        Action::Fail { reason, message } => {
            tracing::warn!(request, database, reason, message, "the request failed");
        }
        Action::Resume => tracing::info!(request, database, "resumed the request"),
        _ => {}
    }
}

/// Records an Event on the request. One that is lost changes nothing.
pub async fn record(recorder: &Recorder, request: &PostgresOpsRequest, event: EventSpec) {
    record_event(recorder, &request.object_ref(&()), "Launch", event).await;
}

/// Records an Event on any object.
pub async fn record_event(recorder: &Recorder, object: &ObjectReference, action: &str, event: EventSpec) {
    let EventSpec { type_, reason, message } = event;
    let end = message.floor_char_boundary(MAX_NOTE);
    let event = Event {
        type_,
        reason,
        note: Some(message[..end].to_owned()),
        action: action.to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, object).await {
        let name = object.name.as_deref();
        let namespace = object.namespace.as_deref();
        tracing::warn!(namespace, name, reason = event.reason, %error, "failed to record an Event");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::StateBuilder;

    #[test]
    fn wait_is_announced_once_for_each_reason() {
        let warn = |reason| Action::Warn { reason, message: "pods \"a-x7k2p\" is forbidden".to_owned() };
        let state = StateBuilder::new().waits("PodRefused", 900).build();
        assert_eq!(announcement(&state, &warn("PodRefused")), None);
        assert_eq!(announcement(&state, &warn("VolumeNotMounted")).unwrap().type_, EventType::Warning);
    }
}
