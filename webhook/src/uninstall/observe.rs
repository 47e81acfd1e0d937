//! Reads what the decision depends on.

use std::fmt::Debug;

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_kube::{ApiError, Namespaces};
use serde::de::DeserializeOwned;

/// All databases and requests in the watched namespaces. One that cannot be read has at least its metadata.
pub struct Observed {
    pub databases: Vec<DeserializeGuard<Postgres>>,
    pub requests: Vec<DeserializeGuard<PostgresOpsRequest>>,
}

impl Observed {
    pub async fn read(client: &Client, watched: &Namespaces) -> Result<Self, ApiError> {
        let mut observed = Self { databases: Vec::new(), requests: Vec::new() };
        for scope in watched.scopes() {
            observed.databases.extend(list(scope.api(client)).await?);
            observed.requests.extend(list(scope.api(client)).await?);
        }
        Ok(observed)
    }
}

/// All objects of a kind; none if its definition was deleted.
async fn list<K>(api: Api<DeserializeGuard<K>>) -> Result<Vec<DeserializeGuard<K>>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    match api.list(&ListParams::default()).await.map_err(ApiError::on::<K>("list", "objects")) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        listed => Ok(listed?.items),
    }
}
