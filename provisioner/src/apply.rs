//! Writing children by server-side apply, and the errors of every call to the API server.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::Postgres;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::design::Problem;

/// Field manager of all that the provisioner writes.
pub const MANAGER: &str = "pgops-provisioner";

/// A call to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {kind} {name}")]
pub struct ApiError {
    action: &'static str,
    kind: String,
    name: String,
    #[source]
    source: Box<Cause>,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Client(kube::Error),
    #[error("{0}")]
    Shape(serde_path_to_error::Error<serde_json::Error>),
}

impl ApiError {
    /// The cause: the API server's own words, where it answered.
    pub fn cause(&self) -> String {
        match self.source.as_ref() {
            Cause::Client(kube::Error::Api(status)) => status.message.clone(),
            other => other.to_string(),
        }
    }

    /// Whether the object is there, but of a shape that this program does not know; then
    /// [`Self::cause`] names the field.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.source.as_ref(), Cause::Shape(_))
    }

    /// Whether someone else wrote the object meanwhile: then it is read again.
    pub fn is_conflict(&self) -> bool {
        matches!(self.source.as_ref(), Cause::Client(kube::Error::Api(status)) if status.is_conflict())
    }
}

/// Makes the error of an action on an object, for `map_err`.
pub fn on<K: Resource<DynamicType = ()>>(
    action: &'static str,
    name: &str,
) -> impl FnOnce(kube::Error) -> ApiError {
    let name = name.to_owned();
    move |source| error::<K>(action, name, Cause::Client(source))
}

fn error<K: Resource<DynamicType = ()>>(action: &'static str, name: String, cause: Cause) -> ApiError {
    ApiError { action, kind: K::kind(&()).into_owned(), name, source: Box::new(cause) }
}

/// Reads an object whose shape people chose, so that an error can name the field that does not fit.
pub async fn read<K>(client: &Client, namespace: Option<&str>, name: &str) -> Result<Option<K>, ApiError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let Some(object) = api.get_opt(name).await.map_err(on::<K>("read", name))? else { return Ok(None) };
    parse(&object).map(Some).map_err(|cause| error::<K>("read", name.to_owned(), Cause::Shape(cause)))
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
    /// Something that a person has to put right.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Whether an object belongs to a database.
pub fn is_owned(object: &impl ResourceExt, database: &Postgres) -> bool {
    object.owner_references().iter().any(|owner| Some(&owner.uid) == database.metadata.uid.as_ref())
}

/// Writes a child, unless its name is taken by an object of someone else.
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
    let existing = api.get_metadata_opt(&name).await.map_err(on::<K>("read", &name))?;
    if existing.is_some_and(|existing| !is_owned(&existing, database)) {
        return Err(Problem::Taken { kind: K::kind(&()).into_owned(), name }.into());
    }
    let params = PatchParams::apply(MANAGER).force();
    Ok(api.patch(&name, &params, &Patch::Apply(child)).await.map_err(on::<K>("apply", &name))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_the_field_that_does_not_fit() {
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
