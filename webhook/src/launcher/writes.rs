//! Writes to the API server that are conditioned on what was observed: the server refuses them for an
//! object that has changed since. Each may be repeated.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::opsrequest::PostgresOpsRequestStatus;
use pgops_api::{ForeignObject, Owner, PostgresOpsRequest};
use pgops_kube::{ApiError, patch};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Why a request could not be reconciled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Write(#[from] ApiError),
    /// An object that is to be created exists, and is not the request's.
    #[error(transparent)]
    Foreign(#[from] ForeignObject),
    #[error("failed to read the objects around the request")]
    Observe(#[source] kube::Error),
    #[error("failed to serialize the worker")]
    Serialize(#[source] serde_json::Error),
    #[error("timed out after {0:?} waiting for the API server")]
    Timeout(Duration),
}

impl Error {
    /// Another client has written first: what was observed is out of date, and nothing is wrong.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Write(error) if error.is_conflict())
    }
}

/// Creates the object; false if it exists already. One of its name that belongs to another owner is an error: rights
/// would otherwise be given to an account, or by a binding, that another user made. So is one that is not the same in what
/// matters: any user can name our owner.
pub async fn create<K>(
    client: &Client,
    owner: &Owner,
    object: &K,
    is_same: impl Fn(&K, &K) -> bool,
) -> Result<bool, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let api: Api<K> = api(client, object);
    let created = api.create(&PostParams::default(), object).await;
    match created.map_err(ApiError::on_object("create", object)) {
        Ok(_) => return Ok(true),
        Err(error) if error.is_already_exists() => {}
        Err(error) => return Err(error.into()),
    }
    let name = object.name_any();
    match api.get_opt(&name).await.map_err(ApiError::on_object("read", object))? {
        Some(stored) if !owner.owns(stored.meta()) || !is_same(&stored, object) => {
            Err(owner.foreign::<K>(name).into())
        }
        _ => Ok(false),
    }
}

/// The stored object of that name, if it has the same owners.
pub async fn read_again<K>(client: &Client, object: &K) -> Result<Option<K>, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let stored = api(client, object).get_opt(&object.name_any()).await;
    let stored = stored.map_err(ApiError::on_object("read", object))?;
    Ok(stored.filter(|stored| stored.owner_references() == object.owner_references()))
}

/// Patches the object that was observed.
pub async fn patch<K>(client: &Client, verb: &'static str, object: &K, change: Value) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    patch::patch(&api(client, object), verb, object, &PatchParams::default(), change).await?;
    Ok(())
}

/// Writes the status of the request that was observed, and leaves fields that this version does not know
/// unchanged.
pub async fn patch_status(
    client: &Client,
    request: &PostgresOpsRequest,
    status: PostgresOpsRequestStatus,
) -> Result<(), Error> {
    let mut change = json!({ "status": status });
    // An empty list is not serialized, and a merge patch keeps what is missing: the last condition would stay.
    change["status"]["conditions"] = json!(status.conditions);
    let requests = api(client, request);
    patch::patch_status(&requests, "write the status of", request, &PatchParams::default(), change).await?;
    Ok(())
}

/// Deletes the object that was observed, with what it owns, and no later object of its name.
pub async fn delete<K>(client: &Client, object: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let observed =
        Preconditions { uid: object.uid(), resource_version: object.meta().resource_version.clone() };
    let params = DeleteParams::background().preconditions(observed);
    let deleted = api(client, object).delete(&object.name_any(), &params).await;
    deleted.map_err(ApiError::on_object("delete", object))?;
    Ok(())
}

/// Deletes exactly that pod, which may change meanwhile: only its uid is checked. Its containers get this many seconds to
/// end.
pub async fn delete_pod(client: &Client, pod: &Pod, grace: Option<i64>) -> Result<(), Error> {
    let observed = Preconditions { uid: pod.uid(), resource_version: None };
    let params = DeleteParams {
        grace_period_seconds: grace.and_then(|seconds| u32::try_from(seconds).ok()),
        ..DeleteParams::background().preconditions(observed)
    };
    match api(client, pod).delete(&pod.name_any(), &params).await.map_err(ApiError::on_object("delete", pod))
    {
        Err(error) if error.is_not_found() => Ok(()),
        deleted => Ok(deleted.map(drop)?),
    }
}

/// The objects of that kind, in that object's namespace.
fn api<K>(client: &Client, object: &K) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}
