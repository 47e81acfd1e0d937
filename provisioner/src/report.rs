//! Reports the status of a database: in the object, in the log and in Events.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Resource, ResourceExt};
use pgops_api::postgres::{PostgresPhase, PostgresStatus};
use pgops_api::{Postgres, bounded, names};
use pgops_kube::{ApiError, patch};
use serde_json::json;

use crate::announcement::{Announcement, announcements};
use crate::context::{Context, patch_params};

/// The API server refuses the Event with a longer note.
const MAX_NOTE: usize = 1000;

/// Writes the status, if it has changed, and announces what has changed.
pub async fn report(
    context: &Context,
    mut database: Postgres,
    status: PostgresStatus,
) -> Result<(), ApiError> {
    let namespace = database.namespace().unwrap_or_default();
    let databases: Api<Postgres> = Api::namespaced(context.client.clone(), &namespace);
    // With standbys the primary answers first.
    let serves = matches!(status.phase, Some(PostgresPhase::Ready | PostgresPhase::Critical));
    let is_annotated = database.annotations().contains_key(names::ANNOTATION_INITIALIZED);
    if serves && !is_annotated && database.paused().is_none() {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let change = json!({ "metadata": { "annotations": { names::ANNOTATION_INITIALIZED: now } } });
        match patch::patch(&databases, "annotate", &database, &patch_params(), change).await {
            Ok(annotated) => database = annotated,
            // The condition Provisioned says the same; the status must not wait for it.
            Err(error) if error.is_refused() => {
                tracing::warn!(namespace, database = database.name_any(), cause = error.cause(), "{error}");
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(pause) = context.pauses.changed(&database) {
        announce(context, &database.object_ref(&()), pause).await;
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
    let before = database.status.clone().unwrap_or_default();
    for announcement in announcements(&before, &status) {
        announce(context, &database.object_ref(&()), announcement).await;
    }
    Ok(())
}

/// Publishes one Event; a Warning is logged too. Another one of the same reason may have been published a minute ago, with
/// another note, which a recorder that remembers it would repeat.
pub async fn announce(context: &Context, about: &ObjectReference, announcement: Announcement) {
    let recorder = Recorder::new(context.client.clone(), context.reporter.clone());
    publish(&recorder, about, announcement).await;
}

/// Publishes an Event whose cause lasts, and is reported each time that it is seen.
pub async fn repeat(context: &Context, about: &ObjectReference, announcement: Announcement) {
    publish(&context.repeating, about, announcement).await;
}

async fn publish(recorder: &Recorder, about: &ObjectReference, announcement: Announcement) {
    let Announcement { type_, reason, note } = announcement;
    let namespace = about.namespace.as_deref();
    let kind = about.kind.as_deref();
    let name = about.name.as_deref();
    if type_ == EventType::Warning {
        tracing::warn!(namespace, kind, name, reason, "{note}");
    }
    let event = Event {
        type_,
        reason,
        note: Some(bounded(note, MAX_NOTE, "")),
        action: "Provision".to_owned(),
        secondary: None,
    };
    if let Err(error) = recorder.publish(&event, about).await {
        tracing::warn!(namespace, kind, name, reason = event.reason, %error, "failed to publish an Event");
    }
}
