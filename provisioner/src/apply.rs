//! Reads and writes of objects whose shape or name users chose.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::{Owner, Postgres};
use pgops_kube::ApiError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::build_error::BuildError;

/// Field manager of all that the provisioner writes, and the name of its lease.
pub const MANAGER: &str = "pgops-provisioner";

/// Why an object was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It exists, but one of its fields is of a shape that this program does not know; the error names the field.
    #[error(transparent)]
    Unreadable(serde_path_to_error::Error<serde_json::Error>),
}

/// Reads an object whose shape users chose, so that an error can name the field that does not fit.
pub async fn read<K>(client: &Client, namespace: Option<&str>, name: &str) -> Result<Option<K>, ReadError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    match api.get_opt(name).await.map_err(ApiError::on::<K>("read", name))? {
        Some(object) => parse(&object).map(Some).map_err(ReadError::Unreadable),
        None => Ok(None),
    }
}

fn parse<K: DeserializeOwned>(
    object: &DynamicObject,
) -> Result<K, serde_path_to_error::Error<serde_json::Error>> {
    let value = serde_json::to_value(object).unwrap_or_default();
    serde_path_to_error::deserialize(value)
}

/// Why a child was not written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An operator has to fix something.
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Api(ApiError),
}

impl From<ApiError> for ApplyError {
    /// What the API server refuses, it refuses until an operator does something; anything else is tried again.
    fn from(error: ApiError) -> Self {
        if error.is_refused() { BuildError::Refused { error }.into() } else { Self::Api(error) }
    }
}

/// Writes a child by server-side apply, unless an object of that name belongs to another owner.
pub async fn apply<K>(client: &Client, database: &Postgres, child: &K) -> Result<K, ApplyError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize,
{
    let name = child.name_any();
    let api: Api<K> = Api::namespaced(client.clone(), &child.namespace().unwrap_or_default());
    let existing = api.get_metadata_opt(&name).await.map_err(ApiError::on::<K>("read", name.as_str()))?;
    let mut child = child.clone();
    // One that another client creates meanwhile has other values: without force that is a conflict.
    let mut params = PatchParams::apply(MANAGER);
    if let Some(existing) = existing {
        let owner = Owner::of(database);
        if !owner.owns(&existing.metadata) {
            return Err(BuildError::Taken(owner.foreign::<K>(name)).into());
        }
        // Exactly this object, and not one that takes its name now.
        child.meta_mut().uid = existing.metadata.uid;
        params = params.force();
    }
    let applied = api.patch(&name, &params, &Patch::Apply(&child)).await;
    Ok(applied.map_err(ApiError::on::<K>("apply", name))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{built, database, version};
    use k8s_openapi::api::core::v1::Service;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::json;

    #[tokio::test]
    async fn child_of_another_owner_is_not_written() {
        let database = database(json!({}));
        let [_, _, primary] = built(&database, &version("13.16", "13.16", None)).services;
        let server = FakeApiServer::new("demo");
        let mut foreign = primary.clone();
        foreign.metadata.owner_references = None;
        server.put(&foreign);
        let before = server.version();
        let error = apply(&server.client(), &database, &primary).await.unwrap_err().to_string();
        assert!(error.starts_with("Service orders does not belong to Postgres orders (uid 5d1c)"), "{error}");
        assert_eq!(server.version(), before);
        server.put(&primary);
        let applied: Service = apply(&server.client(), &database, &primary).await.unwrap();
        assert_eq!(applied.metadata.uid, server.get::<Service>("orders").unwrap().metadata.uid);
    }

    #[test]
    fn unreadable_object_is_reported_with_the_field() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "kubedb.com/v1",
            "kind": "Postgres",
            "metadata": { "name": "orders" },
            "spec": { "version": "13.16", "storage": { "accessModes": "ReadWriteOnce" } },
        }))
        .unwrap();
        let error = parse::<Postgres>(&object).unwrap_err().to_string();
        assert!(
            error.starts_with("spec.storage: accessModes: ") && error.contains("ReadWriteOnce"),
            "{error}"
        );
    }
}
