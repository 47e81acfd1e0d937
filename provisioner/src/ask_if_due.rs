//! A database that runs is asked about from time to time, so that a condition says what would keep it from starting again before a
//! node is drained or an upgrade begins; and at once when an upgrade gets it, with the image of that.

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_kube::ApiError;

use crate::ask_next_pod::ask;
use crate::catalog;
use crate::context::Context;
use crate::dry_runs::Subject;
use crate::holder::holder;
use crate::next_pod::NextPod;
use crate::observation::{Observation, PodLookup};

/// Time after which it is asked again although nothing is known to have changed: a little less than that of two looks at a database
/// that nothing happens to.
const INTERVAL: Duration = Duration::from_secs(110);
/// The same while an upgrade is about to replace the pod, or once something is known to be wrong: what corrects it triggers nothing
/// here.
const SOON: Duration = Duration::from_secs(10);

/// What is known of the next pod of a database with this workload, if its pod runs and it is time to ask.
pub async fn ask_if_due(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
    running: &Observation,
) -> NextPod {
    // A policy may refuse every pod that the provisioner itself would create.
    if database.overrides_guards() {
        return NextPod::Accepted;
    }
    let runs = matches!(&running.server_pod, PodLookup::Found(pod) if !pod.is_being_deleted);
    // The request that holds a pause has looked before, and replaces the pod itself.
    if !runs || database.paused().is_some() {
        return NextPod::NotAsked;
    }
    match try_ask(context, database, workload).await {
        Ok(answer) => answer,
        Err(error) => {
            let namespace = database.namespace().unwrap_or_default();
            tracing::warn!(namespace, database = database.name_any(), cause = error.cause(), "{error}");
            NextPod::NotAsked
        }
    }
}

async fn try_ask(
    context: &Context,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<NextPod, ApiError> {
    let upgrade = holder(context, database).await?.filter(is_upgrade);
    let subject = Subject {
        template: workload.metadata.generation,
        upgrade: upgrade.as_ref().and_then(|request| request.metadata.uid.clone()),
    };
    if !context.dry_runs.is_due(database, &subject) {
        return Ok(NextPod::NotAsked);
    }
    let image = match upgrade.as_ref().and_then(PostgresOpsRequest::target) {
        // The preflight says it if there is no such entry any more.
        Some(target) => catalog::entry(context, target).await.ok().flatten().map(|entry| entry.spec.db.image),
        None => None,
    };
    let answer = Box::pin(ask(context, database, workload, image.as_deref())).await?;
    let is_settled = upgrade.is_none() && matches!(answer, NextPod::Accepted | NextPod::LosesVolume(_));
    context.dry_runs.record(database, subject, if is_settled { INTERVAL } else { SOON });
    Ok(match (answer, upgrade, image) {
        (NextPod::Refused(words), Some(upgrade), Some(image)) => {
            let request = upgrade.name_any();
            NextPod::Refused(format!("{words} (with image {image}, for PostgresOpsRequest {request})"))
        }
        (answer, ..) => answer,
    })
}

fn is_upgrade(request: &PostgresOpsRequest) -> bool {
    request.updates_version() && !request.phase().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, put_what_pods_require, version};
    use crate::observation::ServerPod;
    use k8s_openapi::api::core::v1::Pod;
    use pgops_api::names;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    const WORDS: &str = "pods \"orders-pod-check\" is forbidden: maximum memory usage per Container is 1Gi";

    fn with_pod() -> Observation {
        Observation { server_pod: PodLookup::Found(ServerPod::default()), ..Observation::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn next_pod_is_asked_about_seldom_and_soon_again_once_it_is_refused() {
        let server = FakeApiServer::new("demo");
        put_what_pods_require(&server);
        let context = fixtures::context(&server);
        let workload = fixtures::workload(&version("13.16", "13.16", None));
        let (mut database, running) = (fixtures::database(json!({})), with_pod());
        let ask_after = async |time: Duration, words: Option<&'static str>| {
            tokio::time::advance(time).await;
            server.refuse_to_create::<Pod>(words);
            ask_if_due(&context, &database, &workload, &running).await
        };
        assert_eq!(ask_after(Duration::ZERO, None).await, NextPod::Accepted);
        assert_eq!(ask_after(SOON, Some(WORDS)).await, NextPod::NotAsked);
        assert!(matches!(ask_after(INTERVAL, Some(WORDS)).await, NextPod::Refused(_)));
        assert_eq!(ask_after(Duration::ZERO, None).await, NextPod::NotAsked);
        assert_eq!(ask_after(SOON, None).await, NextPod::Accepted);
        assert_eq!(ask_after(SOON, None).await, NextPod::NotAsked);

        tokio::time::advance(INTERVAL).await;
        server.refuse_to_create::<Pod>(Some(WORDS));
        let without = Observation { server_pod: PodLookup::Missing, ..Observation::default() };
        assert_eq!(ask_if_due(&context, &database, &workload, &without).await, NextPod::NotAsked);
        database.annotations_mut().insert(names::ANNOTATION_OVERRIDE.to_owned(), "true".to_owned());
        assert_eq!(ask_if_due(&context, &database, &workload, &running).await, NextPod::Accepted);
    }

    #[tokio::test(start_paused = true)]
    async fn upgrade_that_gets_the_database_is_asked_for_at_once_with_its_image() {
        let server = FakeApiServer::new("demo");
        put_what_pods_require(&server);
        server.put(&version("17.11", "17.11", None));
        let request: PostgresOpsRequest = serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "orders-17", "namespace": "demo", "uid": "r" },
            "spec": {
                "type": "UpdateVersion", "databaseRef": { "name": "orders" },
                "updateVersion": { "targetVersion": "17.11" },
            },
        }))
        .unwrap();
        server.put(&request);
        let context = fixtures::context(&server);
        let workload = fixtures::workload(&version("13.16", "13.16", None));
        let (mut database, running) = (fixtures::database(json!({})), with_pod());
        assert_eq!(ask_if_due(&context, &database, &workload, &running).await, NextPod::Accepted);

        server.refuse_to_create::<Pod>(Some(WORDS));
        let claim = json!({ "request": "orders-17", "uid": "r" }).to_string();
        database.annotations_mut().insert(names::ANNOTATION_CLAIM.to_owned(), claim);
        let NextPod::Refused(words) = ask_if_due(&context, &database, &workload, &running).await else {
            panic!("it was not asked about")
        };
        let end = "(with image registry.example/postgres:17.11, for PostgresOpsRequest orders-17)";
        assert!(words.starts_with("pods \"orders-0\" is forbidden") && words.ends_with(end), "{words}");
        assert_eq!(ask_if_due(&context, &database, &workload, &running).await, NextPod::NotAsked);
    }
}
