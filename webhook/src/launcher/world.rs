//! What the launcher looks at before it acts: the state of everything around one request.
//!
//! Read from the API server itself, not from a cache: what is decided here starts Jobs. (The catalog alone
//! comes from the cache; an entry that changes a moment later could as well have changed a moment earlier.)

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, ResourceExt};
use pgops_api::admission::NamespacedName;
use pgops_api::matrix::Catalog;
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest, names};

use super::{claim, pods};
use crate::cache::Unreadable;

/// Label that the Job controller puts on the pods of a Job.
const LABEL_JOB: &str = "batch.kubernetes.io/job-name";

/// Everything that decides what comes next for one request.
pub struct World {
    /// The request.
    pub request: PostgresOpsRequest,
    /// Other requests that may still change the same database.
    pub others: Vec<Arc<PostgresOpsRequest>>,
    /// Phases of all requests of the namespace by their uid; none for one that cannot be read.
    pub phases: HashMap<String, Option<Phase>>,
    /// The request's Job.
    pub job: Option<Job>,
    /// Pods of that Job, and of an earlier one of the same name.
    pub pods: Vec<Pod>,
    /// Jobs of other requests for the same database.
    pub other_jobs: Vec<Job>,
    /// Pods of such Jobs, of those too that are gone.
    pub other_pods: Vec<Pod>,
    /// The database.
    pub database: Option<Postgres>,
    /// The database's workload.
    pub workload: Option<StatefulSet>,
    /// Node of the database's first pod.
    pub node: Option<String>,
    /// The versions that there are.
    pub catalog: Arc<Catalog>,
    /// The time.
    pub now: Timestamp,
}

/// What a look around a request comes to.
pub enum Sight {
    /// The request is gone.
    Gone,
    /// It is not the one any more that was seen: what was read around it may be older or newer.
    Changed,
    /// Everything, at one state of the request.
    World(Box<World>),
}

impl World {
    /// Looks around the request that was `seen`.
    ///
    /// The order matters. The Job is read before the request: read after it, it could be over while the
    /// request still looks unfinished, although the runner had written its end in between. The database
    /// is read before everything that its claim may name: what is not there then is gone, and not just
    /// about to come. And the request must not have changed meanwhile: an old leader that stood still
    /// between two reads would judge one that goes on again by the Job that it had before.
    pub async fn observe(
        client: &Client,
        catalog: Arc<Catalog>,
        unreadable: &Unreadable,
        seen: &PostgresOpsRequest,
    ) -> kube::Result<Sight> {
        let namespace = seen.namespace().unwrap_or_default();
        let requests: Api<DeserializeGuard<PostgresOpsRequest>> = Api::namespaced(client.clone(), &namespace);
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let databases: Api<Postgres> = Api::namespaced(client.clone(), &namespace);
        let workloads: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);

        let name = &seen.spec.database_ref.name;
        let job_name = names::job(&seen.name_any(), seen.uid().as_deref().unwrap_or_default());
        let job = jobs.get_opt(&job_name).await?;
        let database = databases.get_opt(name).await?;
        let workers =
            ListParams::default().labels(&format!("{}={}", names::LABEL_DATABASE, names::label(name)));
        let mut other_jobs = jobs.list(&workers).await?.items;
        other_jobs.retain(|other| other.name_any() != job_name);
        let (own_pods, other_pods) =
            pods.list(&workers).await?.items.into_iter().partition(|pod| job_of(pod) == Some(&job_name));
        let all = requests.list(&ListParams::default()).await?.items;

        let phases = all
            .iter()
            .filter_map(|it| Some((it.uid()?, it.0.as_ref().ok().map(PostgresOpsRequest::phase))))
            .collect();
        let (own, others): (Vec<_>, Vec<_>) =
            all.iter().filter_map(|it| unreadable.read(it)).partition(|it| it.uid() == seen.uid());
        let Some(request) = own.into_iter().next().cloned() else { return Ok(Sight::Gone) };
        if request.resource_version() != seen.resource_version() {
            return Ok(Sight::Changed);
        }
        let others = others
            .into_iter()
            .filter(|other| other.is_active() && other.spec.database_ref.name == *name)
            .map(|other| Arc::new(other.clone()))
            .collect();
        let first_pod = pods.get_opt(&names::pod(name, 0)).await?;
        Ok(Sight::World(Box::new(Self {
            others,
            phases,
            job,
            pods: own_pods,
            other_jobs,
            other_pods,
            database,
            workload: workloads.get_opt(name).await?,
            node: first_pod.and_then(|pod| pod.spec?.node_name),
            catalog,
            now: Timestamp::now(),
            request,
        })))
    }

    /// Name of the request's Job and of what belongs to it.
    pub fn job_name(&self) -> String {
        names::job(&self.request.name_any(), self.request.uid().as_deref().unwrap_or_default())
    }

    /// Namespace and name of the database, as people write them.
    pub fn place(&self) -> String {
        NamespacedName::named_by(&self.request).to_string()
    }

    /// The request that must end before this one may begin: the one at work, else the one that holds the
    /// database, else the oldest.
    ///
    /// The order is total, so no two requests can wait for each other.
    pub fn blocker(&self) -> Option<&PostgresOpsRequest> {
        let holder = self.database.as_ref().and_then(claim::holder);
        let rank = |request: &PostgresOpsRequest| {
            let working = request.phase() == Phase::Progressing;
            let holds = holder.is_some() && holder == request.uid();
            (!working, !holds, request.creation_timestamp(), request.name_any())
        };
        let first = self.others.iter().map(Arc::as_ref).min_by_key(|other| rank(other))?;
        (rank(first) < rank(&self.request)).then_some(first)
    }

    /// Whether the database carries our pause for this request.
    pub fn is_paused_by_request(&self) -> bool {
        self.database.as_ref().is_some_and(|database| database.is_paused_by(&self.request))
    }

    /// Whether the database is paused for this request, and somebody wants it back.
    pub fn needs_rescue(&self) -> bool {
        let stays = |database: &Postgres| database.metadata.deletion_timestamp.is_none();
        self.is_paused_by_request() && self.database.as_ref().is_some_and(stays)
    }

    /// Whether a pod of the worker may still do something.
    pub fn has_live_pods(&self) -> bool {
        self.pods.iter().any(pods::is_alive)
    }
}

/// Whether our finalizer is on the request.
pub fn has_finalizer(request: &PostgresOpsRequest) -> bool {
    request.finalizers().iter().any(|finalizer| finalizer == names::REQUEST_FINALIZER)
}

fn job_of(pod: &Pod) -> Option<&String> {
    pod.labels().get(LABEL_JOB)
}
