//! Reads and writes of objects whose shape or name users chose.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::Postgres;
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
    Api(#[from] ApiError),
}

/// Whether an object belongs to a database.
pub fn is_owned(object: &impl ResourceExt, database: &Postgres) -> bool {
    object.owner_references().iter().any(|owner| Some(&owner.uid) == database.metadata.uid.as_ref())
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
    if existing.is_some_and(|existing| !is_owned(&existing, database)) {
        return Err(BuildError::Taken { kind: K::kind(&()).into_owned(), name }.into());
    }
    let params = PatchParams::apply(MANAGER).force();
    let applied = api.patch(&name, &params, &Patch::Apply(child)).await;
    Ok(applied.map_err(ApiError::on::<K>("apply", name))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            error.starts_with("spec.storage.accessModes: ") && error.contains("ReadWriteOnce"),
            "{error}"
        );
    }
}
