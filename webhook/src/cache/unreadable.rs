//! Objects that this version of pgops cannot read, such as those of a newer API: skipped, and logged once.
//!
//! Otherwise one of them would fail every list and every watch that contains it, and so stop admission and
//! the upgrades of all databases.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::{Resource, ResourceExt};

/// The unreadable objects that were logged.
#[derive(Debug, Default)]
pub struct Unreadable {
    logged: Mutex<HashSet<String>>,
}

impl Unreadable {
    /// The object, if it can be read.
    pub fn read<'a, K>(&self, object: &'a DeserializeGuard<K>) -> Option<&'a K>
    where
        K: Resource<DynamicType = ()>,
    {
        match &object.0 {
            Ok(readable) => Some(readable),
            Err(InvalidObject { error, .. }) => {
                if self.is_new(object.meta().uid.clone().unwrap_or_else(|| object.name_any())) {
                    tracing::warn!(
                        kind = %K::kind(&()),
                        namespace = object.namespace(),
                        name = object.name_any(),
                        error,
                        "skipping an object that cannot be read: was it written by a newer version of pgops?"
                    );
                }
                None
            }
        }
    }

    /// The object itself, if it can be read.
    pub fn take<K>(&self, object: DeserializeGuard<K>) -> Option<K>
    where
        K: Resource<DynamicType = ()>,
    {
        self.read(&object)?;
        object.0.ok()
    }

    fn is_new(&self, uid: String) -> bool {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).insert(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::PostgresOpsRequest;
    use serde_json::json;

    fn wire(type_: &str) -> DeserializeGuard<PostgresOpsRequest> {
        serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": {"name": "one", "namespace": "demo", "uid": "uid-of-one"},
            "spec": {"type": type_, "databaseRef": {"name": "orders"}},
        }))
        .unwrap()
    }

    #[test]
    fn object_of_a_newer_api_is_skipped_and_logged_once() {
        let unreadable = Unreadable::default();
        let newer = wire("Teleport");
        assert!(unreadable.read(&newer).is_none());
        assert!(!unreadable.is_new(newer.uid().unwrap()));
        assert!(unreadable.take(newer).is_none());
        assert!(unreadable.read(&wire("UpdateVersion")).is_some());
        assert_eq!(unreadable.take(wire("UpdateVersion")).unwrap().name_any(), "one");
    }
}
