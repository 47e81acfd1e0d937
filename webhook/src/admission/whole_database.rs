//! A new request whose decision needs fields of the database that the caches do not keep: the present size of its volume, or the
//! Secret with its password. The API server itself is asked, as such requests are rare; thousands of databases are cached.

use kube::Api;
use kube::api::ListParams;
use memchr::memmem;
use pgops_api::admission::{self, Denial, Facts};
use pgops_api::opsrequest::{DayTwo, PostgresOpsRequestSpec};
use pgops_api::{Postgres, PostgresOpsRequest};
use serde::Deserialize;

use super::lookups::Lookups;
use super::outcome::Outcome;
use crate::cache::Caches;

/// An admitted request that is to be decided with the whole database.
#[derive(Debug)]
pub struct WholeDatabase {
    request: PostgresOpsRequest,
}

impl WholeDatabase {
    /// The request in this review, if it was admitted, is new and needs that.
    pub fn needed(outcome: &Outcome, body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Review {
            request: Request,
        }
        #[derive(Deserialize)]
        struct Request {
            operation: String,
            #[serde(default)]
            name: String,
            namespace: String,
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            spec: PostgresOpsRequestSpec,
        }
        // Nearly all reviews end here; those of other kinds before a body of any size is searched.
        let may_be = |type_: &str| memmem::find(body, type_.as_bytes()).is_some();
        if outcome.kind != "PostgresOpsRequest"
            || outcome.decision != "allowed"
            || !(may_be("VolumeExpansion") || may_be("RotateAuth"))
        {
            return None;
        }
        let Review { request } = serde_json::from_slice(body).ok()?;
        if request.operation != "CREATE" {
            return None;
        }
        let mut object = PostgresOpsRequest::new(&request.name, request.object.spec);
        object.metadata.namespace = Some(request.namespace);
        let is_needed = matches!(object.day_two()?, DayTwo::VolumeExpansion | DayTwo::RotateAuth);
        is_needed.then_some(Self { request: object })
    }

    /// Why the request is denied, if it is. What cannot be found out is left to the launcher, which decides again anyway.
    pub async fn denial(&self, caches: &Caches, lookups: &Lookups) -> Option<Denial> {
        let namespace = self.request.metadata.namespace.as_deref().unwrap_or_default();
        let name = &self.request.spec.database_ref.name;
        // By a list, which is all that admission may do.
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let find = async |client| Api::<Postgres>::namespaced(client, namespace).list(&params).await;
        let error = match lookups.read(find).await {
            Ok(found) => {
                let database = found.items.into_iter().next()?;
                let is_executed = caches.executes(self.request.spec.type_);
                if !is_executed || !caches.manages(database.metadata.labels.as_ref()) {
                    return None;
                }
                let facts = Facts {
                    request: &self.request,
                    database: Some(&database),
                    catalog: &caches.catalog(),
                    active: &[],
                    standbys: caches.standbys(),
                };
                return admission::decide(&facts).err();
            }
            Err(error) => error,
        };
        tracing::warn!(
            namespace,
            database = name,
            error,
            "admitted a request without having read its database"
        );
        None
    }
}
