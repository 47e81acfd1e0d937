//! The control loop: reads one `Postgres`, builds what it requires, reports its status.
//!
//! Watches carry metadata only and do nothing but trigger the loop, which reads the objects themselves:
//! an object of an unforeseen shape then harms no other one, and no decision is based on an outdated
//! copy in a cache.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::{Api, Resource, ResourceExt};
use pgops_api::postgres::{CONDITION_RESTART_BLOCKED, PostgresPhase, PostgresStatus};
use pgops_api::{Claim, Condition, Owner, Postgres, condition};
use pgops_kube::ApiError;

use crate::announcement::Announcement;
use crate::apply::{ApplyError, ReadError, read};
use crate::ask_if_due::ask_if_due;
use crate::build::{Built, build};
use crate::build_error::BuildError;
use crate::context::Context;
use crate::day_two;
use crate::deletion::{self, DeletionBlocker, DeletionDecision};
use crate::expansion::Expansion;
use crate::field_managers::scaled_down_by;
use crate::finalizer;
use crate::observation::{Observation, PodLookup};
use crate::observe::observe;
use crate::remove::remove;
use crate::report::{repeat, report};
use crate::settings_check::SettingsCheck;
use crate::status::{self, Observed};
use crate::unready::POD_REFUSED;
use crate::{pod_deletion, pod_retry, volume_hold};

/// Pause before an object is reconciled again although nothing triggered it.
const RESYNC: Duration = Duration::from_mins(1);
/// The same, for an object with an error that an operator has to fix, such as a quota.
const RECHECK: Duration = Duration::from_secs(20);
/// The same, for an object whose server does not answer or could not be started again, or whose volume is being expanded: what
/// prevents it triggers nothing here.
const WATCH: Duration = Duration::from_secs(10);
/// The same, while a pod checks settings, which takes some seconds.
const CHECKING: Duration = Duration::from_secs(3);
/// The same, for a deleted object while an upgrade changes it.
const WAIT_FOR_UPGRADE: Duration = Duration::from_secs(10);
/// Pause after a write that another client's write made outdated.
const AFTER_CONFLICT: Duration = Duration::from_millis(200);
/// Pause after any other failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Brings the cluster closer to what one `Postgres` requires.
pub async fn reconcile(
    trigger: Arc<PartialObjectMeta<Postgres>>,
    context: Arc<Context>,
) -> Result<Action, ApiError> {
    let result = reconcile_database(&trigger, &context).await;
    if let Err(error) = &result
        && error.is_refused()
    {
        // It may be the status itself that is refused.
        let note = format!("{error}: the API server refuses it: {}", error.cause());
        repeat(&context, &trigger.object_ref(&()), Announcement::warning("ReconcileFailed", note)).await;
    }
    result
}

async fn reconcile_database(
    trigger: &PartialObjectMeta<Postgres>,
    context: &Context,
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
            repeat(context, &trigger.object_ref(&()), Announcement::warning("Unreadable", note)).await;
            return Ok(Action::requeue(RECHECK));
        }
        Err(ReadError::Api(error)) => return Err(error),
    };

    let holder = deletion::pause_holder(&context.client, &database).await?;
    let blocker = match deletion::decide(&database, holder) {
        DeletionDecision::Keep => None,
        DeletionDecision::Blocked(blocker) => Some(blocker),
        DeletionDecision::Remove(policy) => {
            let hold = Box::pin(volume_hold::blocker(context, &database, workload.as_ref(), policy)).await?;
            if hold.is_none() {
                return Box::pin(remove(context, &database, workload.as_ref(), policy)).await;
            }
            hold
        }
        DeletionDecision::Released => return Ok(Action::await_change()),
    };
    Box::pin(provision(context, database, workload, blocker)).await
}

/// When to try again after a failure: soon if another client was faster, otherwise after a while.
pub fn retry(object: &PartialObjectMeta<Postgres>, error: &ApiError) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    // A refusal was logged with its Event.
    if !error.is_refused() {
        let namespace = object.namespace().unwrap_or_default();
        tracing::warn!(namespace, database = object.name_any(), cause = error.cause(), "{error}; retrying");
    }
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
    let scaled_down_by = workload.as_ref().and_then(|workload| scaled_down_by(&database, workload));
    let mut build_error = None;
    let mut image = None;
    let mut settings = None;
    if builds(&database, workload.as_ref()) {
        match Box::pin(build_with_finalizer(context, &mut database, workload.as_ref(), blocker.as_ref()))
            .await
        {
            Ok(built) => {
                workload = Some(built.workload);
                image = Some(built.image);
                settings = Some(built.settings);
            }
            Err(ApplyError::Build(error)) => build_error = Some(error),
            Err(ApplyError::Api(error)) => return Err(error),
        }
    }
    let workload = workload.as_ref().filter(|workload| Owner::of(&database).owns(&workload.metadata));
    let mut running = Observation {
        settings_check: settings,
        scaled_down_by,
        ..observe(context, &database, workload).await
    };
    if let Some(workload) = workload {
        start_pod(context, &database, workload, &running).await;
        running.next_pod = Box::pin(ask_if_due(context, &database, workload, &running)).await;
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
    let template = template(build_error.as_ref(), image.is_some(), workload);
    // Certificates are not watched: cert-manager need not be installed.
    let lacks_certificates = running.certificates.as_ref().is_some_and(|problems| !problems.is_empty());
    let is_settled = !lacks_certificates
        && !is_asked_soon(&database, &status)
        && !running.settings_check.as_ref().is_some_and(SettingsCheck::withholds)
        && matches!(status.phase, Some(PostgresPhase::Ready | PostgresPhase::Halted))
        && !matches!(running.expansion, Some(Expansion::InProgress(_) | Expansion::Raise(_)));
    report(context, database.clone(), status).await?;
    if database.metadata.deletion_timestamp.is_none()
        && let Some(soon) = day_two::execute(context, &database, workload, template, &running).await?
    {
        return Ok(Action::requeue(soon));
    }
    Ok(Action::requeue(match blocker {
        // The end of the request that paused it triggers nothing here.
        Some(DeletionBlocker::Paused(_)) => WAIT_FOR_UPGRADE,
        _ if build_error.is_some() => RECHECK,
        _ if running.settings_check == Some(SettingsCheck::Running) => CHECKING,
        _ if !is_settled => WATCH,
        _ => RESYNC,
    }))
}

/// Whether it is soon asked again if the next pod can be created: for the upgrade that holds the database, or until what prevents it
/// has been corrected.
fn is_asked_soon(database: &Postgres, status: &PostgresStatus) -> bool {
    let is_held = Claim::on(database).is_ok_and(|claim| claim.is_some());
    is_held || condition::find(&status.conditions, CONDITION_RESTART_BLOCKED).is_some_and(Condition::is_true)
}

/// Removes what keeps the StatefulSet's controller from making a pod of the present template. Of a paused database the request that
/// holds the pause replaces the pod, but it may not have the controller try again.
async fn start_pod(context: &Context, database: &Postgres, workload: &StatefulSet, running: &Observation) {
    let is_paused = database.paused().is_some();
    let (namespace, database) = (workload.namespace().unwrap_or_default(), workload.name_any());
    let is_refused = running.unready.as_ref().is_some_and(|unready| unready.reason == POD_REFUSED);
    let done = match &running.server_pod {
        PodLookup::Found(pod) if pod.is_superseded && !is_paused => {
            let deleted = pod_deletion::delete(context, &namespace, pod).await;
            deleted.map(|()| tracing::info!(namespace, pod = pod.name, "replaced a pod that had no node"))
        }
        _ if is_refused => pod_retry::retry(context, workload).await,
        _ => Ok(()),
    };
    if let Err(error) = done
        && !error.is_conflict()
    {
        // A policy that refuses the pod may refuse this too, and the status has to say so.
        tracing::warn!(namespace, database, cause = error.cause(), "{error}");
    }
}

/// Builds the children of a database that has its finalizer: without it they would all be deleted at once with the object.
async fn build_with_finalizer(
    context: &Context,
    database: &mut Postgres,
    workload: Option<&StatefulSet>,
    blocker: Option<&DeletionBlocker>,
) -> Result<Built, ApplyError> {
    // The API server lets none be added to an object that was deleted.
    if blocker.is_none() {
        finalizer::add(context, database).await?;
    }
    Box::pin(build(context, database, workload)).await
}

/// Whether the workload is as the spec says: what was just built, once its controller has seen it.
fn template(error: Option<&BuildError>, is_built: bool, workload: Option<&StatefulSet>) -> day_two::Template {
    if let Some(error) = error {
        return day_two::Template::Failed { reason: error.reason(), message: error.to_string() };
    }
    let is_seen = workload.is_some_and(|workload| {
        let seen = workload.status.as_ref().and_then(|status| status.observed_generation);
        seen.is_some() && seen >= workload.metadata.generation
    });
    if is_built && is_seen { day_two::Template::Current } else { day_two::Template::Behind }
}
