//! Lets Jobs be deleted whose request does not exist any more, or has ended and is not followed.
//!
//! The launcher's finalizer keeps each Job until its result is recorded, which happens with its request. But a user may have
//! removed the request by force, and a launcher that was suspended may have created a Job after its request was deleted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::core::DeserializeGuard;
use kube::runtime::Controller;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use pgops_api::{Owner, PostgresOpsRequest, display_chain, names};
use pgops_kube::finalizers::without_finalizer;
use pgops_kube::{NamespaceScope, watches};

use super::job_state;
use super::state::has_finalizer;
use super::writes::{self, Error};

/// Pause before the request of a Job that is being deleted is read again.
const RECHECK: Duration = Duration::from_mins(1);

/// Follows the Jobs of the scope.
pub async fn run(scope: &NamespaceScope, client: Client) {
    let workers = watches::config().labels(names::LABEL_REQUEST);
    Controller::new(scope.api::<Job>(&client), workers)
        .run(reconcile, on_error, Arc::new(client))
        .for_each(|_| std::future::ready(()))
        .await;
}

/// Releases the Job if it is being deleted, and no request will do it.
pub async fn reconcile(job: Arc<Job>, client: Arc<Client>) -> Result<Action, Error> {
    if job.metadata.deletion_timestamp.is_none() || !job_state::has_finalizer(&job) {
        return Ok(Action::await_change());
    }
    let namespace = job.namespace().unwrap_or_default();
    let requests: Api<DeserializeGuard<PostgresOpsRequest>> =
        Api::namespaced(client.as_ref().clone(), &namespace);
    let request = match job.annotations().get(names::LABEL_REQUEST) {
        Some(name) => requests.get_opt(name).await.map_err(Error::Observe)?,
        None => None,
    };
    if !is_abandoned(&job, request.as_ref()) {
        return Ok(Action::requeue(RECHECK));
    }
    let change = without_finalizer(job.as_ref(), names::JOB_FINALIZER);
    writes::patch(&client, "release", job.as_ref(), change).await?;
    tracing::info!(namespace, job = job.name_any(), "released a Job whose request is not followed any more");
    Ok(Action::await_change())
}

/// Whether nothing else will let the Job be deleted; `request` has the name of the Job's.
fn is_abandoned(job: &Job, request: Option<&DeserializeGuard<PostgresOpsRequest>>) -> bool {
    let is_owner =
        |request: &PostgresOpsRequest| Owner::of(request).owns(&job.metadata) && !is_unfollowed(request);
    match request.map(|request| &request.0) {
        None => true,
        // A newer pgops follows it.
        Some(Err(_)) => false,
        Some(Ok(request)) => !is_owner(request),
    }
}

/// Whether the request has ended, and the launcher has let it go.
fn is_unfollowed(request: &PostgresOpsRequest) -> bool {
    request.phase().is_terminal() && !has_finalizer(request)
}

// The signature is the controller's.
#[allow(clippy::needless_pass_by_value)]
fn on_error(job: Arc<Job>, error: &Error, _: Arc<Client>) -> Action {
    if !error.is_conflict() {
        tracing::warn!(
            job = %ObjectRef::from_obj(job.as_ref()),
            error = display_chain(error),
            "failed to release a Job; retrying"
        );
    }
    Action::requeue(RECHECK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{StateBuilder, jobs};
    use pgops_api::opsrequest::Phase;
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;
    use serde_json::json;

    /// The Job of the request `orders-17`, or of an earlier one of its name.
    fn job(owner: &str) -> Job {
        let mut job = serde_json::to_value(jobs::with_finalizer(jobs::deleted(jobs::active()))).unwrap();
        job["metadata"]["annotations"] = json!({ names::LABEL_REQUEST: "orders-17" });
        job["metadata"]["ownerReferences"] = json!([
            { "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest", "name": "orders-17", "uid": owner },
        ]);
        serde_json::from_value(job).unwrap()
    }

    #[rstest]
    #[case::without_request(None, job(crate::launcher::fixtures::UID), false)]
    #[case::of_an_earlier_request(Some(StateBuilder::new()), job("earlier"), false)]
    #[case::request_is_not_followed(
        Some(StateBuilder::new().phase(Phase::Failed)),
        job(crate::launcher::fixtures::UID),
        false
    )]
    #[case::request_is_followed(
        Some(StateBuilder::new().finalizer().phase(Phase::Failed)),
        job(crate::launcher::fixtures::UID),
        true
    )]
    #[case::request_is_active(Some(StateBuilder::new().progressing()), job(crate::launcher::fixtures::UID), true)]
    #[tokio::test]
    async fn deleted_job_is_released_unless_its_request_does_it(
        #[case] request: Option<StateBuilder>,
        #[case] job: Job,
        #[case] kept: bool,
    ) {
        let server = FakeApiServer::new("demo");
        if let Some(request) = request {
            server.put(&request.build().request);
        }
        server.put(&job);
        let stored = server.get::<Job>("orders-17-3f9c21aa").unwrap();
        reconcile(Arc::new(stored), Arc::new(server.client())).await.unwrap();
        assert_eq!(server.get::<Job>("orders-17-3f9c21aa").is_some(), kept);
    }
}
