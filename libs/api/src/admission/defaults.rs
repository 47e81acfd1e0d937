//! What an object means where it says nothing, made visible in the object itself.

use serde_json::{Value, json};

/// A field to add: absent so far, or null.
#[derive(Clone, Debug, PartialEq)]
pub struct Default {
    /// The path in the object, such as `["spec", "apply"]`.
    pub path: [&'static str; 2],
    /// The value that it gets.
    pub value: Value,
}

/// Defaults of the spec of a `PostgresOpsRequest` that pgops executes.
///
/// Works on plain JSON: it runs before the API server has checked the object's shape.
#[must_use]
pub fn request_defaults(spec: &Value) -> Vec<Default> {
    if !matches!(spec["type"].as_str(), Some("UpdateVersion" | "Upgrade")) {
        return Vec::new();
    }
    absent(spec, [("apply", json!("IfReady")), ("maxRetries", json!(1))])
}

/// Defaults of the spec of a `Postgres`. The secret's name is left to the provisioner, which makes the secret.
#[must_use]
pub fn postgres_defaults(spec: &Value) -> Vec<Default> {
    let mut defaults = absent(spec, [("replicas", json!(1)), ("storageType", json!("Durable"))]);
    // `terminationPolicy` is the older name of the same field; both at once cannot be read.
    if spec["terminationPolicy"].is_null() {
        defaults.extend(absent(spec, [("deletionPolicy", json!("Delete"))]));
    }
    defaults
}

fn absent<const N: usize>(spec: &Value, defaults: [(&'static str, Value); N]) -> Vec<Default> {
    // Without a spec there is nowhere to add; the API server refuses such an object by itself.
    let Some(spec) = spec.as_object() else { return Vec::new() };
    defaults
        .into_iter()
        .filter(|(field, _)| spec.get(*field).is_none_or(Value::is_null))
        .map(|(field, value)| Default { path: ["spec", field], value })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(defaults: &[Default]) -> Vec<&str> {
        defaults.iter().map(|default| default.path[1]).collect()
    }

    #[test]
    fn adds_to_a_request_only_what_it_does_not_say() {
        let bare = json!({"type": "UpdateVersion", "apply": null});
        assert_eq!(fields(&request_defaults(&bare)), ["apply", "maxRetries"]);
        let said = json!({"type": "UpdateVersion", "apply": "Always", "maxRetries": 0});
        assert_eq!(request_defaults(&said), []);
        let older = json!({"type": "Upgrade", "maxRetries": 0});
        assert_eq!(fields(&request_defaults(&older)), ["apply"]);
    }

    #[test]
    fn leaves_requests_of_other_operations_alone() {
        assert_eq!(request_defaults(&json!({"type": "Restart"})), []);
    }

    #[test]
    fn adds_no_deletion_policy_beside_its_older_name() {
        let old = json!({"version": "13.16", "terminationPolicy": "WipeOut"});
        assert_eq!(fields(&postgres_defaults(&old)), ["replicas", "storageType"]);
        let new = json!({"version": "13.16", "replicas": 3});
        assert_eq!(fields(&postgres_defaults(&new)), ["storageType", "deletionPolicy"]);
    }

    #[test]
    fn leaves_an_object_without_a_spec_to_the_api_server() {
        assert_eq!(postgres_defaults(&json!([])), []);
        assert_eq!(postgres_defaults(&json!(null)), []);
    }
}
