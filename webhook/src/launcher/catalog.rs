//! Tells the authors of catalog entries what in them cannot be read.

use std::collections::HashMap;
use std::pin::pin;

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::PostgresVersion;
use pgops_api::matrix::problems;

use crate::cache::Unreadable;

/// Writes a warning Event on each entry that cannot be read, once for each version of the object, as
/// long as it is polled.
pub async fn warn(client: Client, recorder: Recorder) {
    let mut told = HashMap::new();
    let unreadable = Unreadable::default();
    let entries: Api<DeserializeGuard<PostgresVersion>> = Api::all(client);
    let mut changes = pin!(watcher(entries, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(change) = changes.next().await {
        // The same watch fails for the cache of admission, which says so.
        let Ok(entry) = change else { continue };
        let Some(entry) = unreadable.read(&entry) else { continue };
        let Some(message) = complaint(entry) else { continue };
        let version = entry.resource_version();
        if told.insert(entry.name_any(), version.clone()) == Some(version) {
            continue;
        }
        tracing::warn!(version = %entry.name_any(), message, "a PostgresVersion is ignored in part or whole");
        let event = Event {
            type_: EventType::Warning,
            reason: "Unreadable".to_owned(),
            note: Some(message),
            action: "ReadCatalog".to_owned(),
            secondary: None,
        };
        if let Err(error) = recorder.publish(&event, &entry.object_ref(&())).await {
            tracing::warn!(version = %entry.name_any(), %error, "failed to write an Event");
        }
    }
}

/// What in the entry cannot be read, if anything.
fn complaint(entry: &PostgresVersion) -> Option<String> {
    let found = problems(&entry.spec);
    let mut text = found.join("; ");
    text.truncate(text.floor_char_boundary(1000));
    (!found.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::postgresversion::PostgresVersionSpec;

    #[test]
    fn complains_about_a_version_that_is_none_and_names_it() {
        let entry = |version: &str| {
            let spec = PostgresVersionSpec { version: version.to_owned(), ..PostgresVersionSpec::default() };
            complaint(&PostgresVersion::new("x", spec))
        };
        assert_eq!(entry("16.10"), None);
        assert!(entry("sixteen").unwrap().contains("\"sixteen\""));
    }
}
