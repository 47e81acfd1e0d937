//! Removes a deleted database step by step, and reports what holds that up.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::runtime::controller::Action;
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Owner, Postgres, bounded};
use pgops_kube::ApiError;

use crate::context::Context;
use crate::deletion::{self, DeletionBlocker};
use crate::report::{announce, repeat, report};
use crate::{finalizer, observe, status};

/// Pause before servers that are stopping are looked at again.
const WAIT_FOR_STOP: Duration = Duration::from_secs(1);
/// The same, after a refusal, which an operator has to end.
const RECHECK: Duration = Duration::from_secs(20);

/// Longest text of a refusal, in bytes.
const MAX_WORDS: usize = 1024;

/// Removes a deleted database, and then the finalizer that kept its object.
pub async fn remove(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<Action, ApiError> {
    let (blocker, pause) = match step(context, database, workload, policy).await {
        Ok(true) => return Ok(Action::await_change()),
        Ok(false) => (obstacle(context, database, workload).await?, WAIT_FOR_STOP),
        Err(error) if error.is_refused() => {
            let words = bounded(format!("{error}: {}", error.cause()), MAX_WORDS, "");
            (Some(DeletionBlocker::Refused(words)), RECHECK)
        }
        Err(error) => return Err(error),
    };
    let now = Time(Timestamp::now());
    report(context, database.clone(), status::of_removal(database, blocker.as_ref(), &now)).await?;
    Ok(Action::requeue(pause))
}

/// Whether nothing is left to do.
async fn step(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<bool, ApiError> {
    let removal = deletion::remove(&context.client, database, workload, policy).await?;
    let about = database.object_ref(&());
    for announcement in removal.announcements {
        if removal.is_complete {
            // Until the finalizer is removed, this comes back.
            repeat(context, &about, announcement).await;
        } else {
            announce(context, &about, announcement).await;
        }
    }
    if removal.is_complete {
        context.pauses.forget(database);
        context.builds.forget(database);
        context.dry_runs.forget(database);
        finalizer::remove(context, database).await?;
    }
    Ok(removal.is_complete)
}

/// What holds up the end of the database's workload, if that does not pass by itself.
async fn obstacle(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
) -> Result<Option<DeletionBlocker>, ApiError> {
    let Some(workload) = workload.filter(|workload| Owner::of(database).owns(&workload.metadata)) else {
        return Ok(None);
    };
    let pod = observe::pod(context, database, workload).await?;
    Ok(deletion::obstacle(database, workload, pod.as_ref(), Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, claim, database, version, workload};
    use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
    use pgops_api::postgres::PostgresPhase;
    use pgops_api::{Condition, condition, names};
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    /// A database that was ready when it was deleted.
    fn deleted() -> FakeApiServer {
        let server = FakeApiServer::new("demo");
        server.put(&database(json!({})));
        server.change::<Postgres>("orders", |it| {
            it["metadata"]["deletionTimestamp"] = json!("2026-11-20T10:00:00Z");
            it["metadata"]["finalizers"] = json!([names::POSTGRES_FINALIZER]);
            it["status"] = json!({ "phase": "Ready", "conditions": [{
                "type": "Ready", "status": "True", "lastTransitionTime": "2026-11-20T09:00:00Z",
            }] });
        });
        server
    }

    async fn remove_once(server: &FakeApiServer, workload: Option<&StatefulSet>) -> Action {
        let database = server.get::<Postgres>("orders").unwrap();
        let context = fixtures::context(server);
        remove(&context, &database, workload, DeletionPolicy::Delete).await.unwrap()
    }

    /// Why the removal does not end, of a database that no longer counts as ready.
    fn blocker(server: &FakeApiServer) -> Option<(String, String)> {
        let database = server.get::<Postgres>("orders").unwrap();
        let find = |type_| condition::find(database.conditions(), type_).cloned();
        assert_eq!(database.phase(), PostgresPhase::NotReady);
        assert!(find("Ready").is_some_and(|it| !it.is_true() && it.reason.as_deref() == Some("Deleting")));
        let blocked = find("DeletionBlocked").filter(Condition::is_true)?;
        Some((blocked.reason.unwrap(), blocked.message.unwrap()))
    }

    #[tokio::test]
    async fn refused_deletion_is_reported_until_it_succeeds() {
        let server = deleted();
        server.put(&claim("data-orders-0", true));
        server.refuse_to_delete::<PersistentVolumeClaim>(Some("claims are kept by a policy"));
        assert_eq!(remove_once(&server, None).await, Action::requeue(RECHECK));
        let (reason, message) = blocker(&server).unwrap();
        assert_eq!(reason, "DeletionRefused");
        assert!(message.contains("delete PersistentVolumeClaim data-orders-0"), "{message}");
        assert!(message.contains("claims are kept by a policy"), "{message}");

        server.refuse_to_delete::<PersistentVolumeClaim>(None);
        server.refuse_to_change::<Postgres>(Some("finalizers are kept by a policy"));
        assert_eq!(remove_once(&server, None).await, Action::requeue(RECHECK));
        assert!(blocker(&server).unwrap().1.contains("finalizers are kept by a policy"));

        server.refuse_to_change::<Postgres>(None);
        assert_eq!(remove_once(&server, None).await, Action::await_change());
        assert_eq!(server.get::<Postgres>("orders"), None);
    }

    #[tokio::test]
    async fn pod_of_a_lost_node_is_reported_and_one_that_stops_in_time_is_not() {
        let server = deleted();
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.uid = Some("w".to_owned());
        workload.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
        let put_pod = |end: Timestamp| {
            let pod: Pod = serde_json::from_value(json!({
                "metadata": {
                    "name": "orders-0", "namespace": "demo", "deletionTimestamp": end.to_string(),
                    // The fake API server deletes at once what nothing holds.
                    "finalizers": ["example.com/kubelet"],
                    "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" }],
                },
                "spec": { "nodeName": "node-1", "containers": [] },
                "status": { "phase": "Running" },
            }))
            .unwrap();
            server.put(&pod);
        };
        put_pod(Timestamp::now());
        assert_eq!(remove_once(&server, Some(&workload)).await, Action::requeue(WAIT_FOR_STOP));
        assert_eq!(blocker(&server), None);
        put_pod(Timestamp::UNIX_EPOCH);
        assert_eq!(remove_once(&server, Some(&workload)).await, Action::requeue(WAIT_FOR_STOP));
        let (reason, message) = blocker(&server).unwrap();
        assert_eq!(reason, "PodNotEnding");
        assert!(message.contains("on node node-1 should have ended"), "{message}");
    }
}
