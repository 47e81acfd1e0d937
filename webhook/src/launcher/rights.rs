//! The rights that a request's worker has: they end with the request.
//!
//! Not with its pod: one that hangs, or that another client has taken over, could act for as long as it exists.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::{PostgresOpsRequest, names};
use serde::de::DeserializeOwned;

use super::writes::{self, Error};

/// The objects that give a worker its rights, as far as they exist and belong to the request.
#[derive(Debug, Default)]
pub struct Rights {
    pub binding: Option<RoleBinding>,
    pub role: Option<Role>,
    pub account: Option<ServiceAccount>,
}

impl Rights {
    /// Reads the rights of a request's worker.
    pub async fn observe(client: &Client, request: &PostgresOpsRequest) -> kube::Result<Self> {
        Ok(Self {
            binding: owned(client, request).await?,
            role: owned(client, request).await?,
            account: owned(client, request).await?,
        })
    }

    /// Whether any of them exists.
    pub fn exist(&self) -> bool {
        self.binding.is_some() || self.role.is_some() || self.account.is_some()
    }

    /// Deletes exactly the objects that were observed. The binding goes first, which ends the rights at once.
    pub async fn delete(&self, client: &Client) -> Result<(), Error> {
        delete(client, self.binding.as_ref()).await?;
        delete(client, self.role.as_ref()).await?;
        delete(client, self.account.as_ref()).await
    }
}

/// The object of the worker's name, if it belongs to the request.
async fn owned<K>(client: &Client, request: &PostgresOpsRequest) -> kube::Result<Option<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let objects: Api<K> = Api::namespaced(client.clone(), &request.namespace().unwrap_or_default());
    let uid = request.uid().unwrap_or_default();
    let found = objects.get_opt(&names::worker(&request.name_any(), &uid)).await?;
    Ok(found.filter(|object| object.owner_references().iter().any(|owner| owner.uid == uid)))
}

async fn delete<K>(client: &Client, object: Option<&K>) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    match object {
        Some(object) if object.meta().deletion_timestamp.is_none() => writes::delete(client, object).await,
        _ => Ok(()),
    }
}
