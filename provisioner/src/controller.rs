//! The control loop: reads one `Postgres`, builds what it requires, reports its status.
//!
//! Watches carry metadata only and do nothing but trigger the loop, which reads the objects themselves:
//! an object of an unforeseen shape then harms no other one, and no decision is based on an outdated
//! copy in a cache.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use pgops_api::postgres::{DeletionPolicy, PostgresPhase};
use pgops_api::{Owner, Postgres, names};
use pgops_kube::finalizers::{has_finalizer, with_finalizer, without_finalizer};
use pgops_kube::{ApiError, patch};
use serde_json::Value;

use crate::announcement::Announcement;
use crate::apply::{ApplyError, ReadError, read};
use crate::build::build;
use crate::context::{Context, patch_params};
use crate::deletion::{self, DeletionBlocker, DeletionDecision};
use crate::expansion::Expansion;
use crate::observe::observe;
use crate::pod_problem::POD_REFUSED;
use crate::pod_retry;
use crate::report::{announce, repeat, report};
use crate::status::{self, Observed};

/// Pause before an object is reconciled again although nothing triggered it.
const RESYNC: Duration = Duration::from_mins(1);
/// The same, for an object with an error that an operator has to fix, such as a quota.
const RECHECK: Duration = Duration::from_secs(20);
/// The same, for an object whose server does not answer, or whose volume is being expanded: what prevents it triggers
/// nothing here.
const WATCH: Duration = Duration::from_secs(10);
/// The same, for a deleted object while an upgrade changes it.
const WAIT_FOR_UPGRADE: Duration = Duration::from_secs(10);
/// The same, for an object whose servers are stopping.
const WAIT_FOR_STOP: Duration = Duration::from_secs(1);
/// Pause after a write that another client's write made outdated.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);
/// Pause after any other failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Brings the cluster closer to what one `Postgres` requires.
pub async fn reconcile(
    trigger: Arc<PartialObjectMeta<Postgres>>,
    context: Arc<Context>,
) -> Result<Action, ApiError> {
    let name = trigger.name_any();
    let namespace = trigger.namespace().unwrap_or_default();
    // KubeDB's provisioner builds it.
    if !context.managed.includes(trigger.metadata.labels.as_ref()) {
        return Ok(Action::await_change());
    }
    // The workload first. It is written back only in the version read here, so an upgrade that paused
    // the database after the next read, and then changed the workload, is never overwritten.
    let workloads: Api<StatefulSet> = Api::namespaced(context.client.clone(), &namespace);
    let workload =
        workloads.get_opt(&name).await.map_err(ApiError::on::<StatefulSet>("read", name.as_str()))?;
    let database = match read::<Postgres>(&context.client, Some(&namespace), &name).await {
        Ok(Some(database)) => database,
        Ok(None) => return Ok(Action::await_change()),
        Err(ReadError::Unreadable(cause)) => {
            let note = format!("the Postgres cannot be read: {cause}; correct that field");
            repeat(&context, &trigger.object_ref(&()), Announcement::warning("Unreadable", note)).await;
            return Ok(Action::requeue(RECHECK));
        }
        Err(ReadError::Api(error)) => return Err(error),
    };

    let holder = deletion::pause_holder(&context.client, &database).await?;
    let blocker = match deletion::decide(&database, holder) {
        DeletionDecision::Keep => None,
        DeletionDecision::Blocked(blocker) => Some(blocker),
        DeletionDecision::Remove(policy) => {
            return remove(&context, &database, workload.as_ref(), policy).await;
        }
        DeletionDecision::Released => return Ok(Action::await_change()),
    };
    Box::pin(provision(&context, database, workload, blocker)).await
}

/// When to try again after a failure: soon if another client was faster, otherwise after a while.
pub fn retry(object: &PartialObjectMeta<Postgres>, error: &ApiError) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    let namespace = object.namespace().unwrap_or_default();
    tracing::warn!(namespace, database = object.name_any(), cause = error.cause(), "{error}; retrying");
    Action::requeue(AFTER_FAILURE)
}

/// Whether the children are built now. A paused database is left alone, unless its workload was deleted meanwhile: the request
/// that holds the pause cannot create another one. It is created without pods, which that request starts.
fn builds(database: &Postgres, workload: Option<&StatefulSet>) -> bool {
    database.paused().is_none() || (workload.is_none() && database.was_initialized())
}

/// Builds the children of a database, unless it is paused, and reports its status.
async fn provision(
    context: &Context,
    mut database: Postgres,
    mut workload: Option<StatefulSet>,
    blocker: Option<DeletionBlocker>,
) -> Result<Action, ApiError> {
    let mut build_error = None;
    let mut image = None;
    if builds(&database, workload.as_ref()) {
        if blocker.is_none() && !has_finalizer(&database, names::POSTGRES_FINALIZER) {
            let change = with_finalizer(&database, names::POSTGRES_FINALIZER);
            database = write(context, "add the finalizer of", &database, change).await?;
        }
        match build(context, &mut database, workload.as_ref()).await {
            Ok(built) => {
                workload = Some(built.workload);
                image = Some(built.image);
            }
            Err(ApplyError::Build(error)) => build_error = Some(error),
            Err(ApplyError::Api(error)) => return Err(error),
        }
    }
    let workload = workload.as_ref().filter(|workload| Owner::of(&database).owns(&workload.metadata));
    let running = observe(context, &database, workload).await;
    let is_refused = running.problem.as_ref().is_some_and(|problem| problem.reason == POD_REFUSED);
    if let Some(workload) = workload.filter(|_| is_refused && database.paused().is_none()) {
        pod_retry::retry(context, workload).await?;
    }
    let observed = Observed {
        workload,
        image: image.as_ref(),
        build_error: build_error.as_ref(),
        blocker: blocker.as_ref(),
        running: &running,
        now: Time(Timestamp::now()),
    };
    let status = status::status(&database, &observed);
    let is_settled = matches!(status.phase, Some(PostgresPhase::Ready | PostgresPhase::Halted))
        && !matches!(running.expansion, Some(Expansion::InProgress(_) | Expansion::Raise(_)));
    report(context, database, status).await?;
    Ok(Action::requeue(match blocker {
        // The end of the request that paused it triggers nothing here.
        Some(DeletionBlocker::Paused(_)) => WAIT_FOR_UPGRADE,
        _ if build_error.is_some() => RECHECK,
        _ if !is_settled => WATCH,
        _ => RESYNC,
    }))
}

/// Removes a deleted database, and then the finalizer that kept its object.
async fn remove(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<Action, ApiError> {
    let removal = deletion::remove(&context.client, database, workload, policy).await?;
    for announcement in removal.announcements {
        announce(context, &database.object_ref(&()), announcement).await;
    }
    if !removal.is_complete {
        return Ok(Action::requeue(WAIT_FOR_STOP));
    }
    context.pauses.forget(database);
    context.builds.forget(database);
    let change = without_finalizer(database, names::POSTGRES_FINALIZER);
    write(context, "remove the finalizer of", database, change).await?;
    Ok(Action::await_change())
}

async fn write(
    context: &Context,
    verb: &'static str,
    database: &Postgres,
    change: Value,
) -> Result<Postgres, ApiError> {
    let namespace = database.namespace().unwrap_or_default();
    let databases: Api<Postgres> = Api::namespaced(context.client.clone(), &namespace);
    patch::patch(&databases, verb, database, &patch_params(), change).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{database, version, workload};
    use serde_json::json;

    #[test]
    fn paused_database_gets_only_the_workload_that_it_has_lost() {
        let workload = workload(&version("13.16", "13.16", None));
        let mut database = database(json!({}));
        assert!(builds(&database, None) && builds(&database, Some(&workload)));
        let paused = json!({ "conditions": [{
            "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
        }] });
        database.status = serde_json::from_value(paused).unwrap();
        assert!(!builds(&database, None), "it was never started");
        database
            .annotations_mut()
            .insert(names::ANNOTATION_INITIALIZED.into(), "2026-11-20T10:00:00Z".into());
        assert!(builds(&database, None) && !builds(&database, Some(&workload)));
    }
}
