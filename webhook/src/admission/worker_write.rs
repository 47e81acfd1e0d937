//! A worker that the caches do not know sets `spec.version`.
//!
//! By then the new server runs, past the point of no return, so the write must not be denied because the caches are behind:
//! the API server itself is asked.

use std::time::Duration;

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pgops_api::{PostgresOpsRequest, names};
use serde::Deserialize;

use super::outcome::Outcome;
use super::rules::version_change;

/// How long the API server may take: less than it waits for the review.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// A change of a database's version by a service account with the name of a worker's.
#[derive(Debug, Eq, PartialEq)]
pub struct WorkerWrite {
    namespace: String,
    database: String,
    user: String,
}

impl WorkerWrite {
    /// The write in this review, if it was denied as one that only a worker may make.
    pub fn denied(outcome: &Outcome, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Review {
            request: Request,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Request {
            namespace: String,
            name: String,
            user_info: UserInfo,
        }
        #[derive(Deserialize)]
        struct UserInfo {
            username: String,
        }
        if !version_change::REASONS.contains(&outcome.reason) {
            return None;
        }
        let Review { request } = serde_json::from_slice(body).ok()?;
        let Request { namespace, name, user_info } = request;
        let user = user_info.username;
        names::is_worker_user(&namespace, &user).then_some(Self { namespace, database: name, user })
    }

    /// Whether the user is the worker of an active request for the database, by the API server. If that does not answer it is
    /// believed: it has authenticated the user, and its own policies bind each worker to its plan.
    pub async fn is_confirmed(&self, client: &Client) -> bool {
        let requests: Api<DeserializeGuard<PostgresOpsRequest>> =
            Api::namespaced(client.clone(), &self.namespace);
        let all = ListParams::default();
        let error = match tokio::time::timeout(TIME_LIMIT, Box::pin(requests.list(&all))).await {
            Ok(Ok(found)) => {
                return found.items.iter().any(|request| request.0.as_ref().is_ok_and(|it| self.is_by(it)));
            }
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        let Self { namespace, database, user } = self;
        tracing::warn!(
            namespace,
            database,
            user,
            error,
            "admitted the version of a worker that could not be confirmed"
        );
        true
    }

    fn is_by(&self, request: &PostgresOpsRequest) -> bool {
        request.is_active()
            && request.spec.database_ref.name == self.database
            && version_change::is_worker_of(request, &self.user)
    }
}
