//! The Events on a database.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;

use crate::database::Database;
use crate::wait::eventually;

/// As long as for the states that Events announce.
const TIMEOUT: Duration = Duration::from_mins(5);

impl Database {
    /// The messages of the Events on it that have this reason, in any order.
    pub async fn events(&self, reason: &str) -> anyhow::Result<Vec<String>> {
        let name = self.name();
        let fields = format!("involvedObject.kind=Postgres,involvedObject.name={name},reason={reason}");
        let found = self.namespace().api::<Event>().list(&ListParams::default().fields(&fields)).await?;
        Ok(found.items.into_iter().map(|event| event.message.unwrap_or_default()).collect())
    }

    /// Waits until there is an Event with this reason; returns the messages of all of them. An Event is published after the
    /// status that it announces, so a test that has seen the status must wait for it.
    pub async fn wait_event(&self, reason: &str) -> anyhow::Result<Vec<String>> {
        eventually(&format!("an Event {reason}"), TIMEOUT, async || {
            let found = self.events(reason).await?;
            ensure!(!found.is_empty(), "there is none on {}", self.name());
            Ok(found)
        })
        .await
    }
}
