//! One finalizer among those of an object; the others are left alone.

use kube::ResourceExt;
use serde_json::{Value, json};

/// Whether an object has a finalizer.
#[must_use]
pub fn has_finalizer(object: &impl ResourceExt, finalizer: &str) -> bool {
    object.finalizers().iter().any(|present| present == finalizer)
}

/// The merge patch that adds a finalizer.
#[must_use]
pub fn with_finalizer(object: &impl ResourceExt, finalizer: &str) -> Value {
    let mut finalizers = others(object, finalizer);
    finalizers.push(finalizer.to_owned());
    patch(&finalizers)
}

/// The merge patch that removes a finalizer.
#[must_use]
pub fn without_finalizer(object: &impl ResourceExt, finalizer: &str) -> Value {
    patch(&others(object, finalizer))
}

fn others(object: &impl ResourceExt, finalizer: &str) -> Vec<String> {
    object.finalizers().iter().filter(|present| *present != finalizer).cloned().collect()
}

fn patch(finalizers: &[String]) -> Value {
    json!({ "metadata": { "finalizers": finalizers } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;

    #[test]
    fn finalizers_of_other_controllers_stay() {
        let mut secret = Secret::default();
        secret.metadata.finalizers = Some(vec!["other".to_owned()]);
        assert!(!has_finalizer(&secret, "ours"));
        assert_eq!(
            with_finalizer(&secret, "ours"),
            json!({ "metadata": { "finalizers": ["other", "ours"] } })
        );
        secret.metadata.finalizers = Some(vec!["ours".to_owned(), "other".to_owned()]);
        assert!(has_finalizer(&secret, "ours"));
        assert_eq!(without_finalizer(&secret, "ours"), json!({ "metadata": { "finalizers": ["other"] } }));
    }
}
