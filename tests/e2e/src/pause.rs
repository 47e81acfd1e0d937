//! Pauses a database like an operator: no request starts meanwhile, and the provisioner builds nothing.

use anyhow::Context;
use kube::api::{Patch, PatchParams};
use pgops_api::Postgres;
use serde_json::json;

use crate::database::Database;

impl Database {
    /// Pauses it. The condition is appended, so that no update of the provisioner is lost.
    pub async fn pause(&self) -> anyhow::Result<()> {
        let paused = json!({
            "type": "Paused", "status": "True", "reason": "Test", "message": "held by a test",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        self.patch_status(json!([{"op": "add", "path": "/status/conditions/-", "value": paused}])).await
    }

    /// Lifts the pause.
    pub async fn resume(&self) -> anyhow::Result<()> {
        let conditions = self.object().await?.status.map(|status| status.conditions).unwrap_or_default();
        let at =
            conditions.iter().position(|it| it.type_ == "Paused").context("the database is not paused")?;
        let pointer = format!("/status/conditions/{at}");
        let removal = json!([
            {"op": "test", "path": format!("{pointer}/type"), "value": "Paused"},
            {"op": "remove", "path": pointer},
        ]);
        self.patch_status(removal).await
    }

    async fn patch_status(&self, patch: serde_json::Value) -> anyhow::Result<()> {
        let patch = Patch::<()>::Json(serde_json::from_value(patch)?);
        let api = self.namespace().api::<Postgres>();
        api.patch_status(self.name(), &PatchParams::default(), &patch).await?;
        Ok(())
    }
}
