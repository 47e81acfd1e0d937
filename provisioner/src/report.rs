//! Reports the status of a database: in the object, in the log and in Events.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use pgops_api::postgres::{PostgresPhase, PostgresStatus};
use pgops_api::{Postgres, condition, names};
use pgops_kube::{ApiError, patch};
use serde_json::json;

use crate::context::{Context, patch_params};
use crate::status;

/// Writes the status, if it has changed, and publishes a Warning for each condition that newly reports a problem.
pub async fn report(
    context: &Context,
    mut database: Postgres,
    status: PostgresStatus,
) -> Result<(), ApiError> {
    let namespace = database.namespace().unwrap_or_default();
    let databases: Api<Postgres> = Api::namespaced(context.client.clone(), &namespace);
    let is_ready = status.phase == Some(PostgresPhase::Ready);
    let is_annotated = database.annotations().contains_key(names::ANNOTATION_INITIALIZED);
    if is_ready && !is_annotated && database.paused().is_none() {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let change = json!({ "metadata": { "annotations": { names::ANNOTATION_INITIALIZED: now } } });
        database = patch::patch(&databases, "annotate", &database, &patch_params(), change).await?;
    }
    if database.status.as_ref() == Some(&status) {
        return Ok(());
    }
    if database.phase() != status.phase.unwrap_or(PostgresPhase::Unknown) {
        let phase = status.phase.map(tracing::field::debug);
        tracing::info!(namespace, database = database.name_any(), phase, "the phase of the database changed");
    }
    // Conditioned on the version that the status was computed from: a pause that another client has written meanwhile
    // causes a conflict, and is never lost.
    let change = json!({ "status": status });
    patch::patch_status(&databases, "write the status of", &database, &patch_params(), change).await?;
    publish_new_warnings(context, &database, &status).await;
    Ok(())
}

/// Publishes a Warning for each condition that reports a problem, unless the previous status reported the same.
async fn publish_new_warnings(context: &Context, database: &Postgres, status: &PostgresStatus) {
    let problems = [
        (status::CONDITION_PROVISIONING_STARTED, "False"),
        (status::CONDITION_DELETION_BLOCKED, "True"),
        (status::CONDITION_IMAGE_DIFFERS, "True"),
    ];
    for (type_, bad) in problems {
        let Some(new) = condition::find(&status.conditions, type_).filter(|new| new.status == bad) else {
            continue;
        };
        let previous = condition::find(database.conditions(), type_);
        if previous.is_some_and(|previous| previous.status == new.status && previous.message == new.message) {
            continue;
        }
        let reason = new.reason.clone().unwrap_or_default();
        let note = new.message.clone().unwrap_or_default();
        warn_event(context, &database.object_ref(&()), &reason, note).await;
    }
}

/// Publishes one Warning, and logs it.
pub async fn warn_event(context: &Context, about: &ObjectReference, reason: &str, note: String) {
    let namespace = about.namespace.as_deref();
    let database = about.name.as_deref();
    tracing::warn!(namespace, database, reason, "{note}");
    let event = Event {
        type_: EventType::Warning,
        reason: reason.to_owned(),
        note: Some(note),
        action: "Provision".to_owned(),
        secondary: None,
    };
    if let Err(error) = context.recorder.publish(&event, about).await {
        tracing::warn!(namespace, database, %error, "failed to publish an Event");
    }
}
