//! An object that must belong to the database: checked when it is first written, and written only under the uid that was
//! checked. Another object that gets its name meanwhile is refused by the API server, without a read before each write,
//! which would make the outage longer.

use std::fmt::Debug;

use kube::api::{Api, Patch, PatchParams};
use kube::{Resource, ResourceExt};
use pgops_api::Owner;
use pgops_kube::{ApiError, status};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::ClusterError;
use super::known::Known;
use super::retry::with_retry;

/// The object of one name that belongs to one owner.
#[derive(Clone)]
pub(super) struct Owned<K> {
    api: Api<K>,
    name: String,
    owner: Owner,
    /// Its uid, once it was found to belong to the owner.
    uid: Known<String>,
}

impl<K> Owned<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    pub(super) fn new(api: Api<K>, name: &str, owner: Owner) -> Self {
        Self { api, name: name.to_owned(), owner, uid: Known::default() }
    }

    /// The object, if it exists; an error if it belongs to another owner.
    pub(super) async fn read_opt(&self) -> Result<Option<K>, ClusterError> {
        let found = with_retry(|| self.api.get_opt(&self.name)).await;
        let Some(object) = found.map_err(ApiError::on::<K>("read", &self.name))? else { return Ok(None) };
        self.owner.require(&object)?;
        if let Some(uid) = object.uid() {
            self.uid.set(uid);
        }
        Ok(Some(object))
    }

    /// The object; an error if it does not exist, or belongs to another owner.
    pub(super) async fn read(&self) -> Result<K, ClusterError> {
        let missing = || ClusterError::Missing { what: format!("{} {}", K::kind(&()), self.name) };
        self.read_opt().await?.ok_or_else(missing)
    }

    /// Uid of the object.
    pub(super) async fn uid(&self) -> Result<String, ClusterError> {
        match self.uid.get() {
            Some(uid) => Ok(uid),
            None => Ok(self.read().await?.uid().unwrap_or_default()),
        }
    }

    /// Has the object checked again before the next write: another one may have its name now.
    pub(super) fn forget(&self) {
        self.uid.forget();
    }

    /// Changes the object by a strategic merge patch, unless it belongs to another owner; returns what was stored. `verb` is for
    /// the error.
    pub(super) async fn patch(&self, verb: &'static str, mut change: Value) -> Result<K, ClusterError> {
        change["metadata"]["uid"] = json!(self.uid().await?);
        let change = Patch::Strategic(change);
        let parameters = PatchParams::default();
        let patched = with_retry(|| self.api.patch(&self.name, &parameters, &change)).await;
        // Of one that was deleted the uid still tells what has belonged to it.
        if patched.as_ref().is_err_and(|error| !status::is_not_found(error)) {
            self.forget();
        }
        Ok(patched.map_err(ApiError::on::<K>(verb, &self.name))?)
    }
}
