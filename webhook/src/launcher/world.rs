//! What the launcher looks at before it acts: the state of everything around one request.
//!
//! Read from the API server itself, not from a cache: what is decided here starts Jobs.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::runtime::reflector::Store;
use kube::{Api, Client, ResourceExt};
use pgops_api::matrix::Catalog;
use pgops_api::opsrequest::Phase;
use pgops_api::plan::pause_owner;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion, names};

use super::pods;

/// Label that the Job controller puts on the pods of a Job.
const LABEL_JOB: &str = "batch.kubernetes.io/job-name";

/// Everything that decides what comes next for one request.
pub struct World {
    /// The request.
    pub request: PostgresOpsRequest,
    /// Other requests that may still change the same database.
    pub others: Vec<Arc<PostgresOpsRequest>>,
    /// The request's Job.
    pub job: Option<Job>,
    /// Pods of that Job, and of an earlier one of the same name.
    pub pods: Vec<Pod>,
    /// The database.
    pub database: Option<Postgres>,
    /// The database's workload.
    pub workload: Option<StatefulSet>,
    /// Node of the database's first pod.
    pub node: Option<String>,
    /// The versions that there are.
    pub catalog: Catalog,
    /// The time.
    pub now: Timestamp,
}

impl World {
    /// Looks around the request of that name; none if it is gone.
    ///
    /// The Job is read first. Read after the request, it could be over while the request still
    /// looks unfinished, although the runner had written its end in between.
    pub async fn observe(
        client: &Client,
        versions: &Store<PostgresVersion>,
        seen: &PostgresOpsRequest,
    ) -> kube::Result<Option<Self>> {
        let namespace = seen.namespace().unwrap_or_default();
        let requests: Api<PostgresOpsRequest> = Api::namespaced(client.clone(), &namespace);
        let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        let databases: Api<Postgres> = Api::namespaced(client.clone(), &namespace);
        let workloads: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);

        let job_name = names::job(&seen.name_any(), seen.uid().as_deref().unwrap_or_default());
        let job = jobs.get_opt(&job_name).await?;
        let workers = ListParams::default().labels(&format!("{LABEL_JOB}={job_name}"));
        let worker_pods = pods.list(&workers).await?.items;
        let all = requests.list(&ListParams::default()).await?.items;
        let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|it| it.uid() == seen.uid());
        let Some(request) = own.into_iter().next() else { return Ok(None) };
        let name = &request.spec.database_ref.name;
        let others = others
            .into_iter()
            .filter(|other| other.is_active() && other.spec.database_ref.name == *name)
            .map(Arc::new)
            .collect();
        let first_pod = pods.get_opt(&names::pod(name, 0)).await?;
        let entries = versions.state();
        Ok(Some(Self {
            others,
            job,
            pods: worker_pods,
            database: databases.get_opt(name).await?,
            workload: workloads.get_opt(name).await?,
            node: first_pod.and_then(|pod| pod.spec?.node_name),
            catalog: Catalog::new(
                entries.iter().filter_map(|it| Some((it.metadata.name.as_deref()?, &it.spec))),
            ),
            now: Timestamp::now(),
            request,
        }))
    }

    /// Name of the request's Job and of what belongs to it.
    pub fn job_name(&self) -> String {
        names::job(&self.request.name_any(), self.request.uid().as_deref().unwrap_or_default())
    }

    /// Namespace and name of the database, as people write them.
    pub fn place(&self) -> String {
        format!("{}/{}", self.request.namespace().unwrap_or_default(), self.request.spec.database_ref.name)
    }

    /// The request that must end before this one may begin: one that is further, else the oldest.
    ///
    /// The order is total, so no two requests can wait for each other.
    pub fn blocker(&self) -> Option<&PostgresOpsRequest> {
        let rank = |request: &PostgresOpsRequest| {
            let working = request.phase() == Phase::Progressing;
            (!working, !has_finalizer(request), request.creation_timestamp(), request.name_any())
        };
        let first = self.others.iter().map(Arc::as_ref).min_by_key(|other| rank(other))?;
        (rank(first) < rank(&self.request)).then_some(first)
    }

    /// Whether the database carries our pause for this request.
    pub fn is_paused_by_request(&self) -> bool {
        let paused = self.database.as_ref().and_then(Postgres::paused);
        let owner = paused.and_then(|paused| pause_owner(paused.message.as_deref()?));
        owner.is_some() && owner == self.request.metadata.uid.as_deref()
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
