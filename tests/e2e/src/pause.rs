//! Pauses a database like an operator: no request starts meanwhile, and the provisioner builds nothing.

use std::time::Duration;

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use pgops_api::Postgres;
use serde_json::json;

use crate::connection;
use crate::database::Database;
use crate::wait::wait_for;

/// An upgrade repeats its preflight before it pauses a database whose definitions change.
const TIMEOUT: Duration = Duration::from_mins(5);

impl Database {
    /// Pauses it. The condition is appended, so that no update of the provisioner is lost.
    pub async fn pause(&self) -> anyhow::Result<()> {
        let paused = json!({
            "type": "Paused", "status": "True", "reason": "Test", "message": "held by a test",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let appended = json!([{"op": "add", "path": "/status/conditions/-", "value": paused}]);
        self.patch_status(appended).await.context("failed to pause the database")
    }

    /// Runs statements in one of its databases as soon as an upgrade has paused it, in a session that has begun before: the
    /// server is stopped a moment later.
    pub async fn sql_once_paused(&self, dbname: &str, sql: &str) -> anyhow::Result<()> {
        let session = self.connect(dbname).await?;
        let is_paused = |found: Option<&Postgres>| found.is_some_and(|postgres| postgres.paused().is_some());
        let api = self.namespace().api::<Postgres>();
        wait_for(&api, self.name(), "a pause", TIMEOUT, is_paused).await?;
        connection::rows(&session, sql).await.map(drop)
    }

    /// Lifts the pause. Its place among the conditions may change between the read and the write, which is refused then.
    pub async fn resume(&self) -> anyhow::Result<()> {
        loop {
            let conditions = self.object().await?.status.map(|status| status.conditions).unwrap_or_default();
            let at = conditions
                .iter()
                .position(|it| it.type_ == "Paused")
                .context("the database is not paused")?;
            let pointer = format!("/status/conditions/{at}");
            let removal = json!([
                {"op": "test", "path": format!("{pointer}/type"), "value": "Paused"},
                {"op": "remove", "path": pointer},
            ]);
            match self.patch_status(removal).await {
                // As a failed test is answered.
                Err(kube::Error::Api(status)) if status.code == 422 => {}
                written => return written.context("failed to lift the pause"),
            }
        }
    }

    async fn patch_status(&self, patch: serde_json::Value) -> kube::Result<()> {
        let patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
        let api = self.namespace().api::<Postgres>();
        api.patch_status(self.name(), &PatchParams::default(), &Patch::<()>::Json(patch)).await.map(drop)
    }
}
