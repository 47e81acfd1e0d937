//! The `Postgres`: its pause and its version.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use pgops_api::plan::pause_owner_uid;
use pgops_api::postgres::CONDITION_PAUSED;
use pgops_api::{Condition, Postgres, condition};
use pgops_kube::ApiError;
use pgops_kube::patch::conditioned;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;
use super::retry::with_retry;

impl Cluster {
    pub async fn database(&self) -> Result<Postgres, ClusterError> {
        let name = &self.plan.database;
        let database = with_retry(|| self.databases.get(name)).await;
        let database = database.map_err(ApiError::on::<Postgres>("read", name))?;
        if self.is_planned_database(&database) { Ok(database) } else { Err(self.database_replaced()) }
    }

    /// Whether it is the database that the plan was made for, and not a later one of its name.
    fn is_planned_database(&self, database: &Postgres) -> bool {
        database.metadata.uid.as_ref() == Some(&self.plan.database_uid)
    }

    fn database_replaced(&self) -> ClusterError {
        ClusterError::Replaced { kind: "Postgres", name: self.plan.database.clone() }
    }

    /// Pauses the database for this request, so that the provisioner leaves it alone.
    pub async fn pause(&self) -> Result<(), ClusterError> {
        let message = self.plan.pause_message();
        let held = self.database().await?.paused().and_then(|paused| paused.message.clone());
        match held {
            Some(held) if held == message => return Ok(()),
            Some(message) => {
                return Err(ClusterError::Held { database: self.plan.database.clone(), message });
            }
            None => {}
        }
        self.change_conditions("pause", |conditions| {
            // Decided again on the very object that is written: its resourceVersion guards against a race.
            if condition::find(conditions, CONDITION_PAUSED).is_none() {
                let now = Time(Timestamp::now());
                condition::set(
                    conditions,
                    Condition::new(CONDITION_PAUSED, "True", "UpgradeInProgress", message.clone(), now),
                );
            }
        })
        .await?;
        match self.database().await?.paused().and_then(|paused| paused.message.clone()) {
            Some(held) if held == message => Ok(()),
            held => Err(ClusterError::Held {
                database: self.plan.database.clone(),
                message: held.unwrap_or_default(),
            }),
        }
    }

    /// Lifts the pause, if this request holds it.
    pub async fn resume(&self) -> Result<(), ClusterError> {
        let uid = self.plan.request_uid.clone();
        self.change_conditions("resume", |conditions| {
            conditions.retain(|condition| {
                let owner = condition.message.as_deref().and_then(pause_owner_uid);
                condition.type_ != CONDITION_PAUSED || owner != Some(uid.as_str())
            });
        })
        .await
    }

    async fn change_conditions(
        &self,
        verb: &'static str,
        change: impl Fn(&mut Vec<Condition>),
    ) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let changed = with_retry(|| async {
            let mut database = self.databases.get(name).await?;
            if !self.is_planned_database(&database) {
                return Ok(None);
            }
            let mut status = database.status.take().unwrap_or_default();
            let before = status.conditions.clone();
            change(&mut status.conditions);
            if status.conditions == before {
                return Ok(Some(()));
            }
            // Conditioned on the resourceVersion that was read: a status written in between is not overwritten.
            let patch = conditioned(&database, json!({ "status": { "conditions": status.conditions } }));
            let patch = Patch::Merge(patch);
            self.databases.patch_status(name, &PatchParams::default(), &patch).await.map(|_| Some(()))
        })
        .await
        .map_err(ApiError::on::<Postgres>(verb, name))?;
        changed.ok_or_else(|| self.database_replaced())
    }

    /// Sets `spec.version`.
    pub async fn set_version(&self, version: &str) -> Result<(), ClusterError> {
        let name = self.plan.database.as_str();
        let parameters = PatchParams::default();
        // Under the uid: a database that was created again has other data.
        let uid = &self.plan.database_uid;
        let patch = Patch::Merge(json!({ "metadata": { "uid": uid }, "spec": { "version": version } }));
        with_retry(|| self.databases.patch(name, &parameters, &patch)).await.map_err(ApiError::on::<
            Postgres,
        >(
            "set spec.version of",
            name,
        ))?;
        Ok(())
    }
}
