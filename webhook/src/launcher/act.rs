//! Does what was decided. Every write may be done twice, or be stopped after any line.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::controller;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::opsrequest::{Phase, PostgresOpsRequestStatus};
use pgops_api::plan::Scope;
use pgops_api::{PostgresOpsRequest, display_chain, names};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::job::{ANNOTATION_HELD, ANNOTATION_WITHDRAWN, Withdrawal};
use super::next::Action;
use super::worker::{Worker, metadata};
use super::world::{World, has_finalizer};
use super::{Images, status};

/// Pause before a warning is said again.
const WARN_AGAIN: Duration = Duration::from_mins(1);
/// Pause before a request that waits is looked at again.
const WAIT: Duration = Duration::from_secs(10);
/// Longest note of an Event, in bytes.
const MAX_NOTE: usize = 1000;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server does not answer, or refuses.
    #[error("failed to {verb} {kind} {name}")]
    Kube {
        /// What was tried.
        verb: &'static str,
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
        /// The API server's answer.
        #[source]
        source: kube::Error,
    },
    /// What surrounds the request could not be read.
    #[error("failed to look at what surrounds the request")]
    Observe(#[source] kube::Error),
    /// An object could not be made into JSON.
    #[error("failed to describe the worker")]
    Describe(#[source] serde_json::Error),
    /// The API server took too long.
    #[error("gave up after {0:?} without an answer of the API server")]
    Timeout(Duration),
}

impl Error {
    /// Someone else has written first: what was observed is out of date, and nothing is wrong.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Kube { source: kube::Error::Api(status), .. } if status.code == 409)
    }
}

/// What acts.
pub struct Hands {
    pub client: Client,
    pub recorder: Recorder,
    pub images: Images,
}

impl Hands {
    /// Does it, and says when to look again.
    pub async fn perform(&self, world: &World, action: Action) -> Result<controller::Action, Error> {
        let request = &world.request;
        let now = Time(world.now);
        match action {
            Action::Nothing => {}
            Action::LookAgain(left) => {
                let left = Duration::try_from(left).unwrap_or(WAIT);
                return Ok(controller::Action::requeue(left.max(Duration::from_secs(1))));
            }
            Action::Acknowledge { from } => {
                self.write_status(request, status::acknowledged(request, &from, now)).await?;
            }
            Action::Wait { reason, message } => {
                let new = status::waiting(request, reason, &message, now);
                if request.status.as_ref() != Some(&new) {
                    self.write_status(request, new).await?;
                    self.tell(request, EventType::Normal, reason, &message).await;
                }
                return Ok(controller::Action::requeue(WAIT));
            }
            Action::Deny { reason, message } => {
                let new = status::ended_without(Phase::Denied, request, reason, &message, now);
                self.write_status(request, new).await?;
                tracing::info!(request = %name(request), database = %world.place(), reason, "denied the request");
                self.tell(request, EventType::Warning, "Denied", &message).await;
            }
            Action::Claim(claim) => {
                // The finalizer comes first: from then on the request stays until it has left the database.
                self.keep(request).await?;
                let claim = serde_json::to_string(&claim).map_err(Error::Describe)?;
                self.write_claim(world, Some(claim)).await?;
                return Ok(controller::Action::requeue(Duration::ZERO));
            }
            Action::Release => {
                self.write_claim(world, None).await?;
                return Ok(controller::Action::requeue(Duration::ZERO));
            }
            Action::Launch(worker) => {
                self.launch(world, &worker).await?;
                return Ok(controller::Action::requeue(WAIT));
            }
            Action::Progress => self.progress(world).await?,
            Action::Withdraw(withdrawal) => self.withdraw(world, &withdrawal).await?,
            Action::Start | Action::Resume => self.suspend(world, false, None).await?,
            Action::Warn { reason, message } => {
                tracing::warn!(request = %name(request), database = %world.place(), reason, message);
                self.tell(request, EventType::Warning, reason, &message).await;
                return Ok(controller::Action::requeue(WARN_AGAIN));
            }
            Action::Fail { reason, message } => {
                let new = status::ended_without(Phase::Failed, request, &reason, &message, now);
                self.write_status(request, new).await?;
                tracing::warn!(request = %name(request), database = %world.place(), reason, message, "the request failed");
                self.tell(request, EventType::Warning, &reason, &message).await;
            }
            Action::Succeed => {
                let message =
                    format!("{} has version {}", world.place(), request.target().unwrap_or_default());
                self.write_status(request, status::succeeded(request, &message, now)).await?;
                self.tell(request, EventType::Normal, "Successful", &message).await;
            }
            Action::RemoveJob => self.remove_job(world).await?,
            Action::CarryOn => {
                self.write_status(request, status::carried_on(request)).await?;
                let message = format!("the upgrade of {} goes on where its journal ends", world.place());
                tracing::info!(request = %name(request), database = %world.place(), "the request carries on");
                self.tell(request, EventType::Normal, "CarriesOn", &message).await;
                return Ok(controller::Action::requeue(Duration::ZERO));
            }
            Action::Forget { why } => {
                self.forget(request).await?;
                if let Some(why) = why {
                    self.tell(request, EventType::Warning, "NothingToCarryOn", &why).await;
                }
            }
            Action::RemoveFinalizer => self.set_finalizer(request, false).await?,
        }
        Ok(controller::Action::await_change())
    }

    /// The rights come before the Job, whose pod needs them; the Job itself comes last.
    async fn launch(&self, world: &World, worker: &Worker) -> Result<(), Error> {
        // Somebody may have taken the finalizer off since the claim.
        self.keep(&world.request).await?;
        let made = self.make(worker).await;
        if let Err(error) = &made {
            // A quota or a policy of the namespace: people must see it where they look.
            let message = display_chain(error);
            self.tell(&world.request, EventType::Warning, "LaunchFailed", &message).await;
        }
        made
    }

    async fn make(&self, worker: &Worker) -> Result<(), Error> {
        self.create(&worker.service_account()).await?;
        self.create(&worker.role()).await?;
        self.create(&worker.role_binding()).await?;
        let job = worker.job(&self.images).map_err(Error::Describe)?;
        if self.create(&job).await? {
            tracing::info!(
                request = worker.plan.request,
                database = worker.plan.database,
                namespace = worker.plan.namespace,
                job = metadata(&worker.plan).name,
                from = worker.plan.from.name,
                to = worker.plan.to.name,
                "made the job of an upgrade"
            );
        }
        Ok(())
    }

    async fn progress(&self, world: &World) -> Result<(), Error> {
        let request = &world.request;
        self.write_status(request, status::progressing(request)).await?;
        let does = match request.scope() {
            Scope::Upgrade => "upgrades",
            Scope::DryRun => "checks without a change the upgrade of",
        };
        let message = format!(
            "job {} {does} {} from {} to {}",
            world.job_name(),
            world.place(),
            request.status.as_ref().and_then(|status| status.from.as_deref()).unwrap_or("its version"),
            request.target().unwrap_or_default()
        );
        self.tell(request, EventType::Normal, "Launched", &message).await;
        Ok(())
    }

    async fn withdraw(&self, world: &World, withdrawal: &Withdrawal) -> Result<(), Error> {
        let mark = serde_json::to_string(withdrawal).map_err(Error::Describe)?;
        self.suspend(world, true, Some(mark)).await
    }

    /// Suspends or resumes the Job as it was observed; one that has changed since is looked at again.
    async fn suspend(&self, world: &World, suspend: bool, mark: Option<String>) -> Result<(), Error> {
        let Some(job) = &world.job else { return Ok(()) };
        let mut annotations = json!({ ANNOTATION_WITHDRAWN: mark });
        if !suspend {
            annotations[ANNOTATION_HELD] = Value::Null;
        }
        let patch = json!({
            "metadata": { "annotations": annotations },
            "spec": { "suspend": suspend },
        });
        self.change("suspend or resume", job, patch).await
    }

    /// Removes the Job that was observed, with its pods, and no later one of its name.
    async fn remove_job(&self, world: &World) -> Result<(), Error> {
        let Some(job) = &world.job else { return Ok(()) };
        let observed =
            Preconditions { uid: job.uid(), resource_version: job.metadata.resource_version.clone() };
        let how = DeleteParams::background().preconditions(observed);
        let removed = self.api(job).delete(&job.name_any(), &how).await;
        removed.map(drop).map_err(failed("remove", job))
    }

    /// Takes the wish to carry on off the request.
    async fn forget(&self, request: &PostgresOpsRequest) -> Result<(), Error> {
        let patch = json!({ "metadata": { "annotations": { names::ANNOTATION_RESUME: null } } });
        self.change("answer the annotation of", request, patch).await
    }

    /// Writes or removes the claim on the database as it was observed.
    async fn write_claim(&self, world: &World, claim: Option<String>) -> Result<(), Error> {
        let Some(database) = &world.database else { return Ok(()) };
        let patch = json!({ "metadata": { "annotations": { names::ANNOTATION_CLAIM: claim } } });
        self.change("claim or release", database, patch).await
    }

    /// Patches the object as it was observed: the API server refuses it for one that has changed since.
    async fn change<K>(&self, verb: &'static str, object: &K, mut patch: Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        patch["metadata"]["resourceVersion"] = json!(object.meta().resource_version);
        let patch = Patch::Merge(patch);
        let patched = self.api(object).patch(&object.name_any(), &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(failed(verb, object))
    }

    /// Creates the object; false if it is there already.
    async fn create<K>(&self, object: &K) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Serialize,
    {
        match self.api(object).create(&PostParams::default(), object).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
            Err(error) => Err(failed("create", object)(error)),
        }
    }

    /// Puts the finalizer on a request that has none, and may have one.
    async fn keep(&self, request: &PostgresOpsRequest) -> Result<(), Error> {
        if has_finalizer(request) || request.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        self.set_finalizer(request, true).await
    }

    async fn set_finalizer(&self, request: &PostgresOpsRequest, present: bool) -> Result<(), Error> {
        let others = request.finalizers().iter().filter(|finalizer| *finalizer != names::REQUEST_FINALIZER);
        let ours = present.then(|| names::REQUEST_FINALIZER.to_owned());
        let finalizers: Vec<String> = others.cloned().chain(ours).collect();
        let patch = json!({ "metadata": { "finalizers": finalizers } });
        self.change("set the finalizer of", request, patch).await
    }

    /// Writes the status onto the very version that was observed, and leaves fields that it does not
    /// know as they are.
    async fn write_status(
        &self,
        request: &PostgresOpsRequest,
        status: PostgresOpsRequestStatus,
    ) -> Result<(), Error> {
        let mut patch = json!({
            "metadata": { "resourceVersion": request.metadata.resource_version },
            "status": status,
        });
        // An empty list is left out, and what is left out stays: the last condition would never go.
        patch["status"]["conditions"] = json!(status.conditions);
        let patched = self
            .api(request)
            .patch_status(&request.name_any(), &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.map(drop).map_err(failed("write the status of", request))
    }

    /// The objects of that kind, in that object's namespace.
    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    /// An Event on the request. One that is lost changes nothing.
    async fn tell(&self, request: &PostgresOpsRequest, type_: EventType, reason: &str, message: &str) {
        let end = message.floor_char_boundary(MAX_NOTE);
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(message[..end].to_owned()),
            action: "Launch".to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, &request.object_ref(&())).await {
            tracing::warn!(request = %name(request), reason, %error, "failed to write an Event");
        }
    }
}

/// Namespace and name of the request, as people write them.
pub fn name(request: &PostgresOpsRequest) -> String {
    format!("{}/{}", request.namespace().unwrap_or_default(), request.name_any())
}

fn failed<K: Resource<DynamicType = ()>>(
    verb: &'static str,
    object: &K,
) -> impl FnOnce(kube::Error) -> Error {
    let name = format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any());
    move |source| Error::Kube { verb, kind: K::kind(&()).into_owned(), name, source }
}
