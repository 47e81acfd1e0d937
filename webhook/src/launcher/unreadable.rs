//! Objects that this pgops cannot read, such as those of a newer API: passed by, and told once.
//!
//! Without this, one of them would fail every list and every watch that it is in, and so stop the
//! upgrades of all databases.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::{Resource, ResourceExt};

/// The objects that were told.
#[derive(Debug, Default)]
pub struct Unreadable {
    told: Mutex<HashSet<String>>,
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
                        "cannot read an object and leaves it alone: is it of a newer pgops?"
                    );
                }
                None
            }
        }
    }

    fn is_new(&self, uid: String) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{parse, request};
    use pgops_api::PostgresOpsRequest;
    use serde_json::json;

    #[test]
    fn an_object_of_a_newer_api_is_passed_by_and_told_once() {
        let unreadable = Unreadable::default();
        let mut newer = serde_json::to_value(request("newer")).unwrap();
        newer["spec"]["type"] = json!("Teleport");
        let newer: DeserializeGuard<PostgresOpsRequest> = parse(newer);
        assert!(unreadable.read(&newer).is_none());
        assert!(!unreadable.is_new(newer.uid().unwrap()));
        let known = parse(serde_json::to_value(request("known")).unwrap());
        assert_eq!(unreadable.read::<PostgresOpsRequest>(&known), Some(&request("known")));
    }
}
