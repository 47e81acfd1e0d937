//! Quotas of a namespace.

use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::namespace::Namespace;
use crate::wait::wait_for;

const TIMEOUT: Duration = Duration::from_mins(2);

impl Namespace {
    /// Creates a quota with these limits, and waits until it is enforced.
    pub async fn quota(&self, name: &str, hard: Value) -> anyhow::Result<()> {
        let quota = serde_json::from_value(json!({"metadata": {"name": name}, "spec": {"hard": hard}}))?;
        self.api::<ResourceQuota>().create(&PostParams::default(), &quota).await?;
        self.wait_quota(name).await
    }

    /// Waits until the use of a quota was counted: before that it refuses everything, with another message.
    pub async fn wait_quota(&self, name: &str) -> anyhow::Result<()> {
        let is_counted = |found: Option<&ResourceQuota>| {
            found.and_then(|quota| quota.status.as_ref()).is_some_and(|status| status.used.is_some())
        };
        wait_for(&self.api(), name, "its use", TIMEOUT, is_counted).await.map(drop)
    }
}
