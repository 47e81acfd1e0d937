//! A worker that the caches do not know sets `spec.version`.
//!
//! By then the new server runs, past the point of no return, so the write must not be denied because the caches are behind:
//! the API server itself is asked.

use std::ops::ControlFlow;

use kube::Client;
use pgops_api::names;
use serde::Deserialize;

use super::active_requests::visit_active_requests;
use super::lookups::Lookups;
use super::outcome::Outcome;
use super::rules::version_change;

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
    pub async fn is_confirmed(&self, lookups: &Lookups) -> bool {
        let error = match lookups.read(|client| self.is_known(client)).await {
            Ok(is_known) => return is_known,
            Err(error) => error,
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

    /// Whether an active request for the database has this worker.
    async fn is_known(&self, client: Client) -> kube::Result<bool> {
        let mut is_known = false;
        visit_active_requests(client, &self.namespace, &self.database, |request| {
            is_known = version_change::is_worker_of(&request, &self.user);
            if is_known { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await?;
        Ok(is_known)
    }
}
