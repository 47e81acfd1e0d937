//! Warns the authors of catalog entries about what in them cannot be parsed.

use std::collections::HashMap;
use std::pin::pin;

use futures::StreamExt;
use kube::core::DeserializeGuard;
use kube::runtime::events::Recorder;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::PostgresVersion;
use pgops_api::matrix::problems;
use pgops_kube::watches;

use super::events::{self, EventSpec};
use crate::cache::Unreadable;

/// Longest message about one entry, in bytes.
const MAX_MESSAGE: usize = 1000;

/// Records a warning Event on each entry that cannot be parsed, once for each version of the object, as
/// long as it is polled.
pub async fn warn_about_problems(client: Client, recorder: Recorder) {
    let mut warned = HashMap::new();
    let unreadable = Unreadable::default();
    let entries: Api<DeserializeGuard<PostgresVersion>> = Api::all(client);
    let mut changes = pin!(watcher(entries, watches::config()).default_backoff().applied_objects());
    while let Some(change) = changes.next().await {
        // The watch of the admission cache fails as well, and logs it.
        let Ok(entry) = change else { continue };
        let Some(entry) = unreadable.read(&entry) else { continue };
        let Some(message) = problem_message(entry) else { continue };
        let version = entry.resource_version();
        if warned.insert(entry.name_any(), version.clone()) == Some(version) {
            continue;
        }
        tracing::warn!(version = %entry.name_any(), message, "a PostgresVersion is ignored partly or entirely");
        let event = EventSpec::warning("Unreadable", message);
        events::record_event(&recorder, &entry.object_ref(&()), "ReadCatalog", event).await;
    }
}

/// What in the entry cannot be parsed, if anything.
fn problem_message(entry: &PostgresVersion) -> Option<String> {
    let found = problems(&entry.spec);
    let mut message = found.join("; ");
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    (!found.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::postgresversion::PostgresVersionSpec;

    #[test]
    fn problem_message_names_an_invalid_version() {
        let message = |version: &str| {
            let spec = PostgresVersionSpec { version: version.to_owned(), ..PostgresVersionSpec::default() };
            problem_message(&PostgresVersion::new("x", spec))
        };
        assert_eq!(message("16.10"), None);
        assert!(message("sixteen").unwrap().contains("\"sixteen\""));
    }
}
