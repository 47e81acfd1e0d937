//! The patches that Patroni sends: labels and annotations, and nothing else of an object.

use std::collections::BTreeMap;

use pgops_api::names::{LABEL_HA, LABEL_ROLE};
use serde::{Deserialize, Serialize};

use crate::database::Database;
use crate::record::{LEADER, POD_ANNOTATIONS, ROLES, Record};
use crate::refusal::Refusal;

/// A patch. What it does not have is refused, and what is sent is made from it: whatever another parser would read in
/// the client's bytes, such as a field that is written twice, does not reach the API server.
///
/// A strategic merge patch also has directives, which are keys that begin with `$`. None is a field of this, and none is
/// among the labels and annotations of Patroni.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    metadata: Metadata,
}

#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    // A map, and not null: null removes all labels.
    labels: BTreeMap<String, Option<String>>,
    annotations: BTreeMap<String, Option<String>>,
    /// The version that must be the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource_version: Option<String>,
}

impl Patch {
    /// The patch of a record, which has all labels of the scope.
    pub fn of_record(body: &[u8], database: &Database, record: Record) -> Result<Self, Refusal> {
        let patch = Self::parse(body, database, &database.config_map(record))?;
        patch.check_labels(|key, value| key == LABEL_HA && value == Some(database.scope()))?;
        patch.check_annotations(record.annotations(), |key, value| {
            // A member takes the lock for itself, and for no other.
            (record, key) != (Record::Leader, LEADER) || value.is_none_or(|leader| leader == database.pod())
        })?;
        Ok(patch)
    }

    /// The patch of this pod: its role, and the state of its server.
    pub fn of_pod(body: &[u8], database: &Database) -> Result<Self, Refusal> {
        let patch = Self::parse(body, database, database.pod())?;
        patch
            .check_labels(|key, value| key == LABEL_ROLE && value.is_none_or(|role| ROLES.contains(&role)))?;
        patch.check_annotations(POD_ANNOTATIONS, |_, _| true)?;
        Ok(patch)
    }

    fn parse(body: &[u8], database: &Database, name: &str) -> Result<Self, Refusal> {
        let patch: Self = serde_json::from_slice(body).map_err(Refusal::Fields)?;
        if patch.metadata.name != name || patch.metadata.namespace != database.namespace() {
            return Err(Refusal::Identity);
        }
        Ok(patch)
    }

    fn check_labels(&self, is_allowed: impl Fn(&str, Option<&str>) -> bool) -> Result<(), Refusal> {
        match self.metadata.labels.iter().find(|(key, value)| !is_allowed(key, value.as_deref())) {
            Some((key, _)) => Err(Refusal::Label(key.clone())),
            None => Ok(()),
        }
    }

    fn check_annotations(
        &self,
        keys: &[&str],
        is_allowed: impl Fn(&str, Option<&str>) -> bool,
    ) -> Result<(), Refusal> {
        let refused = |(key, value): &(&String, &Option<String>)| {
            !keys.contains(&key.as_str()) || !is_allowed(key, value.as_deref())
        };
        match self.metadata.annotations.iter().find(refused) {
            Some((key, _)) => Err(Refusal::Annotation(key.clone())),
            None => Ok(()),
        }
    }
}
