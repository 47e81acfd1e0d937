//! A volume that only the running pod keeps, since its claim is being deleted or does not exist: the pod is not stopped as long as its
//! user wants the data.

use k8s_openapi::api::apps::v1::StatefulSet;
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Owner, Postgres, StorageRisk};
use pgops_kube::ApiError;

use crate::apply::ApplyError;
use crate::build_error::BuildError;
use crate::context::Context;
use crate::deletion::DeletionBlocker;
use crate::observe;
use crate::volume_risk::volume_risk;

/// Fails if the pod is to be stopped for `spec.halted`, and its volume would be lost.
pub async fn ensure_halt_keeps_volume(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<(), ApplyError> {
    if database.spec.halted != Some(true) {
        return Ok(());
    }
    match risk_of_stop(context, database, workload).await? {
        Some(risk) => Err(BuildError::VolumeAtRisk(risk).into()),
        None => Ok(()),
    }
}

/// Why a deleted database is kept whose policy is to keep the data, which would be lost with the pod.
pub async fn blocker(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<Option<DeletionBlocker>, ApiError> {
    let own = workload.filter(|workload| Owner::of(database).owns(&workload.metadata));
    match own.filter(|_| policy == DeletionPolicy::Halt) {
        Some(workload) => {
            let risk = risk_of_stop(context, database, workload).await?;
            Ok(risk.map(DeletionBlocker::VolumeAtRisk))
        }
        None => Ok(None),
    }
}

/// What would become of the volume if the pod were stopped; none if it is being stopped already, or nothing is lost.
async fn risk_of_stop(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<Option<StorageRisk>, ApiError> {
    let replicas = workload.spec.as_ref().and_then(|spec| spec.replicas);
    let is_stopped = replicas == Some(0) || workload.metadata.deletion_timestamp.is_some();
    if is_stopped || database.overrides_guards() || !database.was_initialized() {
        return Ok(None);
    }
    match observe::pod(context, database, workload).await? {
        Some(pod) if pod.metadata.deletion_timestamp.is_none() => {
            volume_risk(context, database, workload).await
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, claim, database, version, workload};
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
    use kube::ResourceExt;
    use pgops_api::names;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    /// A database that has served, with its pod and its claim; and the workload of that pod.
    fn serving() -> (FakeApiServer, Postgres, StatefulSet) {
        let server = FakeApiServer::new("demo");
        let mut database = database(json!({ "halted": true }));
        database
            .annotations_mut()
            .insert(names::ANNOTATION_INITIALIZED.into(), "2026-11-20T10:00:00Z".into());
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.uid = Some("w".to_owned());
        let owner = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" });
        let pod = json!({ "metadata": { "name": "orders-0", "ownerReferences": [owner] } });
        server.put(&serde_json::from_value::<Pod>(pod).unwrap());
        server.put(&claim("data-orders-0", true));
        (server, database, workload)
    }

    fn delete_claim(server: &FakeApiServer) {
        server.change::<PersistentVolumeClaim>("data-orders-0", |it| {
            it["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
            it["metadata"]["finalizers"] = json!(["kubernetes.io/pvc-protection"]);
        });
    }

    #[tokio::test]
    async fn halted_database_keeps_its_pod_while_its_claim_is_being_deleted() {
        let (server, mut database, mut workload) = serving();
        let context = fixtures::context(&server);
        ensure_halt_keeps_volume(&context, &database, &workload).await.unwrap();
        delete_claim(&server);
        let error = ensure_halt_keeps_volume(&context, &database, &workload).await.unwrap_err().to_string();
        assert!(error.starts_with("spec.halted is true") && error.contains("data-orders-0"), "{error}");

        database.spec.halted = None;
        ensure_halt_keeps_volume(&context, &database, &workload).await.unwrap();
        database.spec.halted = Some(true);
        workload.spec.as_mut().unwrap().replicas = Some(0);
        ensure_halt_keeps_volume(&context, &database, &workload).await.unwrap();
        workload.spec.as_mut().unwrap().replicas = Some(1);
        database.annotations_mut().insert(names::ANNOTATION_OVERRIDE.into(), "true".into());
        ensure_halt_keeps_volume(&context, &database, &workload).await.unwrap();
    }

    #[tokio::test]
    async fn deleted_database_is_kept_if_its_policy_keeps_the_data() {
        let (server, database, workload) = serving();
        let context = fixtures::context(&server);
        let blocker = async |policy| blocker(&context, &database, Some(&workload), policy).await.unwrap();
        assert_eq!(blocker(DeletionPolicy::Halt).await, None);
        delete_claim(&server);
        let found = blocker(DeletionPolicy::Halt).await.unwrap();
        assert_eq!(found.reason(), "VolumeAtRisk");
        assert!(found.to_string().contains("data-orders-0 is being deleted"), "{found}");
        assert_eq!(blocker(DeletionPolicy::Delete).await, None);
    }
}
