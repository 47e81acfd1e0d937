//! A new request that is denied for what may pass by itself: its database is not ready, or another request is active.
//!
//! Users create a request as soon as they see that it has passed, and the caches may learn that a moment later. So the API
//! server itself is asked before such a request is denied.

use std::ops::ControlFlow;
use std::sync::Arc;

use kube::api::ListParams;
use kube::{Api, Client};
use pgops_api::Postgres;
use pgops_api::admission::DenialReason;
use serde::Deserialize;

use super::active_requests::visit_active_requests;
use super::lookups::Lookups;
use super::outcome::Outcome;
use crate::cache::{Caches, Current};

/// Why a request is denied now, and may be admitted a moment later.
const PASSING: [DenialReason; 5] = [
    DenialReason::DatabaseNotFound,
    DenialReason::DatabaseDeleting,
    DenialReason::RequestActive,
    DenialReason::DatabasePaused,
    DenialReason::DatabaseNotReady,
];

/// A new request that was denied for such a reason.
#[derive(Debug)]
pub struct PassingDenial {
    namespace: String,
    database: String,
}

impl PassingDenial {
    /// The request in this review, if it was denied so.
    pub fn of(outcome: &Outcome, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Review {
            request: Request,
        }
        #[derive(Deserialize)]
        struct Request {
            operation: String,
            namespace: String,
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            spec: Spec,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Spec {
            database_ref: DatabaseRef,
        }
        #[derive(Deserialize)]
        struct DatabaseRef {
            name: String,
        }
        if outcome.kind != "PostgresOpsRequest" || !PASSING.iter().any(|it| it.as_str() == outcome.reason) {
            return None;
        }
        let Review { request } = serde_json::from_slice(body).ok()?;
        if request.operation != "CREATE" {
            return None;
        }
        Some(Self { namespace: request.namespace, database: request.object.spec.database_ref.name })
    }

    /// What the API server has now. None if it does not answer, or if the database is not managed: then the caches decide.
    pub async fn current(&self, caches: &Caches, lookups: &Lookups) -> Option<Current> {
        match lookups.read(|client| self.read(client)).await {
            Ok(current) => {
                let labels = current.database.as_ref().map(|database| database.metadata.labels.as_ref());
                labels.is_none_or(|labels| caches.manages(labels)).then_some(current)
            }
            Err(error) => {
                let Self { namespace, database } = self;
                tracing::warn!(namespace, database, error, "denied a request by what the caches have");
                None
            }
        }
    }

    /// By lists, which are all that admission may do.
    async fn read(&self, client: Client) -> kube::Result<Current> {
        let params = ListParams::default().fields(&format!("metadata.name={}", self.database));
        let databases = Api::<Postgres>::namespaced(client.clone(), &self.namespace).list(&params).await?;
        let mut requests = Vec::new();
        visit_active_requests(client, &self.namespace, &self.database, |request| {
            requests.push(Arc::new(request));
            ControlFlow::Continue(())
        })
        .await?;
        Ok(Current { database: databases.items.into_iter().next(), requests })
    }
}
