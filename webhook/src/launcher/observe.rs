//! Reads the state of everything around one request.
//!
//! It is read from the API server itself, not from a cache: what is decided on it starts Jobs. (Only the
//! catalog comes from the cache; an entry that changes a moment later could as well have changed a moment
//! earlier.)

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};
use pgops_api::matrix::Catalog;
use pgops_api::topology::StandbySupport;
use pgops_api::{ExecutedRequests, Owner, Postgres, PostgresOpsRequest, names};

use super::rights::Rights;
use super::state::{State, job_name};
use super::{pods, queue, start_problem, stored_images};
use crate::cache::Unreadable;

/// Result of observing a request.
pub enum Observation {
    /// The request no longer exists.
    Deleted,
    /// The request has changed since it was seen: what was read around it may be older or newer.
    Changed,
    /// Everything, consistent with one version of the request.
    State(Box<State>),
}

/// Observes everything around the request that was `seen`.
///
/// The order matters. The Job is read before the request: read after it, it could have ended while the
/// request still looks unfinished, although the runner had written its result in between. The database is
/// read before everything that its claim may name: what does not exist then is deleted, and not about to be
/// created. And the request must not have changed meanwhile: an old leader that was suspended between two
/// reads would judge a request that has been resumed by its previous Job.
pub async fn observe(
    client: &Client,
    catalog: Arc<Catalog>,
    executed: ExecutedRequests,
    standbys: StandbySupport,
    unreadable: &Unreadable,
    seen: &PostgresOpsRequest,
) -> kube::Result<Observation> {
    let namespace = seen.namespace().unwrap_or_default();
    let requests: Api<DeserializeGuard<PostgresOpsRequest>> = Api::namespaced(client.clone(), &namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let pod_objects: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let databases: Api<Postgres> = Api::namespaced(client.clone(), &namespace);
    let workloads: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), &namespace);

    let name = &seen.spec.database_ref.name;
    let job_name = job_name(seen);
    // A Job of that name that another user made is not the request's: it is neither judged nor changed.
    let account = names::worker(&seen.name_any(), &seen.uid().unwrap_or_default());
    let is_own = |job: &Job| {
        Owner::of(seen).owns(&job.metadata) && pods::account_of_job(job) == Some(account.as_str())
    };
    let job = jobs.get_opt(&job_name).await?.filter(is_own);
    // Before the request, too: those of a request that was resumed meanwhile must not be taken for what it left behind.
    let may_have_rights = seen.phase().is_terminal() || job.is_some();
    let rights = if may_have_rights { Rights::observe(client, seen).await? } else { Rights::default() };
    let database = databases.get_opt(name).await?;
    let workers = ListParams::default().labels(&format!("{}={}", names::LABEL_DATABASE, names::label(name)));
    let mut other_jobs = jobs.list(&workers).await?.items;
    other_jobs.retain(|other| other.name_any() != job_name && pods::account_of_job(other).is_some());
    let all_pods = pod_objects.list(&workers).await?.items.into_iter();
    let (own_pods, other_pods): (Vec<_>, Vec<_>) = all_pods
        .filter(|pod| pods::job_of_worker(pod).is_some())
        .partition(|pod| pods::job_of_worker(pod) == Some(&job_name));
    let events = match job.as_ref().and_then(|job| start_problem::subject(job, &own_pods)) {
        Some(uid) => warnings(client, &namespace, &uid).await,
        None => Vec::new(),
    };
    let all = requests.list(&ListParams::default()).await?.items;

    let phases = all
        .iter()
        .filter_map(|it| Some((it.uid()?, it.0.as_ref().ok().map(PostgresOpsRequest::phase))))
        .collect();
    let (own, others): (Vec<_>, Vec<_>) =
        all.iter().filter_map(|it| unreadable.read(it)).partition(|it| it.uid() == seen.uid());
    let Some(request) = own.into_iter().next().cloned() else { return Ok(Observation::Deleted) };
    if request.resource_version() != seen.resource_version() {
        return Ok(Observation::Changed);
    }
    let fulfilled_by = queue::fulfilled_by(&request, others.iter().copied());
    let is_active = |other: &&PostgresOpsRequest| {
        other.is_active() && executed.includes(other.spec.type_) && other.spec.database_ref.name == *name
    };
    let others = others.into_iter().filter(is_active).map(|other| Arc::new(other.clone())).collect();
    let workload = workloads.get_opt(name).await?;
    let claim = claims.get_opt(&names::claim(name, 0)).await?;
    let stored_images = match (&database, &workload) {
        (Some(database), Some(workload)) if job.is_none() && !request.phase().is_terminal() => {
            stored_images::observe(&workloads, &request, database, workload, &catalog).await
        }
        _ => HashMap::new(),
    };
    let is_own_pod = |pod: &Pod| workload.as_ref().is_some_and(|it| Owner::of(it).owns(&pod.metadata));
    let first_pod = pod_objects.get_opt(&names::pod(name, 0)).await?.filter(is_own_pod);
    Ok(Observation::State(Box::new(State {
        others,
        phases,
        job,
        pods: own_pods,
        events,
        fulfilled_by,
        other_jobs,
        other_pods,
        rights,
        database,
        workload,
        claim,
        server: first_pod,
        catalog,
        executed,
        standbys,
        stored_images,
        now: Timestamp::now(),
        request,
    })))
}

/// The warnings about an object. Without them only words are missing: a launcher that may not read them works as well.
async fn warnings(client: &Client, namespace: &str, uid: &str) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let about = ListParams::default().fields(&format!("involvedObject.uid={uid},type=Warning"));
    match events.list(&about).await {
        Ok(found) => found.items,
        Err(error) => {
            tracing::debug!(namespace, uid, %error, "failed to read Events");
            Vec::new()
        }
    }
}
