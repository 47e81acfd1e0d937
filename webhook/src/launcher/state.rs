//! The state of everything around one request, as it was observed: what a decision rests on.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, PersistentVolumeClaim, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use pgops_api::admission::NamespacedName;
use pgops_api::matrix::Catalog;
use pgops_api::opsrequest::{CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN, CONDITION_WAITING, Phase};
use pgops_api::topology::StandbySupport;
use pgops_api::{ExecutedRequests, Postgres, PostgresOpsRequest, StorageRisk, names, storage_risk};
use pgops_kube::finalizers;

use super::rights::Rights;
use super::{job_state, pods};

/// Everything that decides what to do next for one request.
pub struct State {
    pub request: PostgresOpsRequest,
    /// Other requests that may still change the same database.
    pub others: Vec<Arc<PostgresOpsRequest>>,
    /// Phases of all requests of the namespace by uid; none for a request that cannot be parsed.
    pub phases: HashMap<String, Option<Phase>>,
    /// The request's Job.
    pub job: Option<Job>,
    /// Pods of that Job, and of an earlier one of the same name.
    pub pods: Vec<Pod>,
    /// Warnings about the Job or its pod, as long as its worker does not start.
    pub events: Vec<Event>,
    /// Name of another request that has brought the database to the target since this request was created.
    pub fulfilled_by: Option<String>,
    /// Jobs of other requests for the same database.
    pub other_jobs: Vec<Job>,
    /// Pods of such Jobs, including Jobs that are deleted.
    pub other_pods: Vec<Pod>,
    /// The rights of the request's worker; read only for a request that has a Job or has ended.
    pub rights: Rights,
    pub database: Option<Postgres>,
    /// The StatefulSet with the database's name; its owner is checked before a Job is created.
    pub workload: Option<StatefulSet>,
    /// Volume claim of the database's first pod.
    pub claim: Option<PersistentVolumeClaim>,
    /// The database's first pod.
    pub server: Option<Pod>,
    pub catalog: Arc<Catalog>,
    /// The requests that this installation executes.
    pub executed: ExecutedRequests,
    /// Whether this installation builds databases with standbys.
    pub standbys: StandbySupport,
    /// How the API server stores images of the catalog in the workload, for a request without a Job whose workload has another
    /// image than was applied: a webhook or policy has rewritten it.
    pub stored_images: HashMap<String, String>,
    /// When it was observed.
    pub now: Timestamp,
}

impl State {
    /// Name of the request's Job and of the objects that belong to it.
    pub fn job_name(&self) -> String {
        job_name(&self.request)
    }

    /// `namespace/name` of the database.
    pub fn database_key(&self) -> String {
        NamespacedName::named_by(&self.request).to_string()
    }

    /// Whether the request's phase says that it is being executed.
    pub fn is_progressing(&self) -> bool {
        self.request.phase() == Phase::Progressing
    }

    /// Whether the request is being deleted.
    pub fn is_deleted(&self) -> bool {
        self.request.metadata.deletion_timestamp.is_some()
    }

    /// Whether the database carries our pause for this request.
    pub fn is_paused_by_request(&self) -> bool {
        self.database.as_ref().is_some_and(|database| database.is_paused_by(&self.request))
    }

    /// Whether the database is paused for this request and is not being deleted: it must be returned to service.
    pub fn needs_rescue(&self) -> bool {
        let exists =
            self.database.as_ref().is_some_and(|database| database.metadata.deletion_timestamp.is_none());
        exists && self.is_paused_by_request()
    }

    /// Why an upgrade would lose the database's volume, if so.
    pub fn storage_risk(&self) -> Option<StorageRisk> {
        let database = self.database.as_ref()?;
        let claim = names::claim(&database.name_any(), 0);
        storage_risk(self.workload.as_ref()?, &claim, self.claim.as_ref())
    }

    /// The image as the API server stores it in the workload.
    pub fn stored_image<'a>(&'a self, image: &'a str) -> &'a str {
        self.stored_images.get(image).map_or(image, String::as_str)
    }

    /// Whether a pod of the worker may still act.
    pub fn has_live_pods(&self) -> bool {
        self.pods.iter().any(pods::is_alive)
    }

    /// Whether the runner may have done anything.
    pub fn may_have_acted(&self, job: &Job) -> bool {
        self.runner_has_run() || job_state::failures(job) > 0
    }

    /// Whether the runner ever ran. It reports in the request's status before it acts, so this holds even
    /// if its pod is deleted.
    pub fn runner_has_run(&self) -> bool {
        let has_reported = self.request.status.as_ref().is_some_and(|status| {
            status.step.is_some() || status.conditions.iter().any(|it| !is_launcher_condition(&it.type_))
        });
        has_reported || self.is_paused_by_request() || self.pods.iter().any(pods::runner_started)
    }
}

/// Name of the request's Job and of the objects that belong to it.
pub fn job_name(request: &PostgresOpsRequest) -> String {
    names::job(&request.name_any(), request.uid().as_deref().unwrap_or_default())
}

/// `namespace/name` of the request.
pub fn request_key(request: &PostgresOpsRequest) -> String {
    format!("{}/{}", request.namespace().unwrap_or_default(), request.name_any())
}

/// Whether the request has the launcher's finalizer.
pub fn has_finalizer(request: &PostgresOpsRequest) -> bool {
    finalizers::has_finalizer(request, names::REQUEST_FINALIZER)
}

/// Whether the launcher sets this condition on a request that has not ended.
fn is_launcher_condition(type_: &str) -> bool {
    [CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN, CONDITION_WAITING].contains(&type_)
}
