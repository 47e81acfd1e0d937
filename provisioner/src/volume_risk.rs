//! Whether the volume of a database is lost when its pod stops.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use pgops_api::postgres::StorageType;
use pgops_api::{Postgres, StorageRisk, names, storage_risk};
use pgops_kube::ApiError;

use crate::context::Context;

/// Whether the volume is kept when the pod stops.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum VolumeLookup {
    /// It could not be found out, or there is no pod.
    #[default]
    Unknown,
    Kept,
    AtRisk(StorageRisk),
}

impl From<Option<StorageRisk>> for VolumeLookup {
    fn from(risk: Option<StorageRisk>) -> Self {
        risk.map_or(Self::Kept, Self::AtRisk)
    }
}

/// What would happen to the volume if the pod were replaced, apart from what the provisioner itself repairs.
pub async fn volume_risk(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Option<StorageRisk>, ApiError> {
    if database.storage_type() == StorageType::Ephemeral {
        return Ok(None);
    }
    let name = names::claim(&database.name_any(), 0);
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default());
    // By its name alone: users may have changed its labels.
    let params = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = claims.list(&params).await;
    let found = found.map_err(ApiError::on::<PersistentVolumeClaim>("read", name.as_str()))?;
    let risk = storage_risk(workload, &name, found.items.first());
    Ok(risk.filter(|risk| !risk.is_transient()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, claim, database, version, workload};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    async fn found(server: &FakeApiServer, database: &Postgres) -> Option<String> {
        let workload = workload(&version("13.16", "13.16", None));
        let risk = volume_risk(&fixtures::context(server), database, &workload).await.unwrap();
        risk.map(|risk| risk.to_string())
    }

    #[tokio::test]
    async fn volume_is_at_risk_if_its_claim_is_being_deleted_or_missing() {
        let server = FakeApiServer::new("demo");
        let durable = database(json!({}));
        assert!(found(&server, &durable).await.unwrap().contains("does not exist"));
        assert_eq!(found(&server, &database(json!({ "storageType": "Ephemeral" }))).await, None);
        let mut claim = claim("data-orders-0", false);
        claim.metadata.labels = None;
        server.put(&claim);
        assert_eq!(found(&server, &durable).await, None);
        claim.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
        claim.metadata.finalizers = Some(vec!["kubernetes.io/pvc-protection".to_owned()]);
        server.put(&claim);
        assert!(found(&server, &durable).await.unwrap().contains("data-orders-0 is being deleted"));
    }
}
