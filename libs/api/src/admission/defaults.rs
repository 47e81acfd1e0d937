//! Defaults, made visible in the object itself.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::opsrequest::RequestType;

/// A field to add, which is absent or null in the object.
#[derive(Clone, Debug, PartialEq)]
pub struct Default {
    /// Path in the object, such as `["spec", "apply"]`.
    pub path: [&'static str; 2],
    /// The default value.
    pub value: Value,
}

/// Defaults of the spec of a `PostgresOpsRequest` that pgops executes.
///
/// Works on plain JSON: it runs before the API server has checked the object's shape.
#[must_use]
pub fn request_defaults(spec: &Value) -> Vec<Default> {
    let type_ = RequestType::deserialize(&spec["type"]);
    if !type_.is_ok_and(RequestType::is_executed) {
        return Vec::new();
    }
    absent(spec, [("apply", json!("IfReady")), ("maxRetries", json!(1))])
}

/// Defaults of the spec of a `Postgres`. The Secret's name is left to the provisioner, which creates the
/// Secret.
#[must_use]
pub fn postgres_defaults(spec: &Value) -> Vec<Default> {
    let mut defaults = absent(spec, [("replicas", json!(1)), ("storageType", json!("Durable"))]);
    // `terminationPolicy` is a deprecated alias of the same field; an object with both cannot be parsed.
    if spec["terminationPolicy"].is_null() {
        defaults.extend(absent(spec, [("deletionPolicy", json!("Delete"))]));
    }
    defaults
}

fn absent<const N: usize>(spec: &Value, defaults: [(&'static str, Value); N]) -> Vec<Default> {
    // An object without a spec is rejected by the API server.
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
    fn request_defaults_fill_only_absent_fields() {
        let bare = json!({"type": "UpdateVersion", "apply": null});
        assert_eq!(fields(&request_defaults(&bare)), ["apply", "maxRetries"]);
        let explicit = json!({"type": "UpdateVersion", "apply": "Always", "maxRetries": 0});
        assert_eq!(request_defaults(&explicit), []);
        let older = json!({"type": "Upgrade", "maxRetries": 0});
        assert_eq!(fields(&request_defaults(&older)), ["apply"]);
    }

    #[test]
    fn only_requests_that_are_executed_get_defaults() {
        assert_eq!(request_defaults(&json!({"type": "HorizontalScaling"})), []);
        assert_eq!(fields(&request_defaults(&json!({"type": "Restart"}))), ["apply", "maxRetries"]);
    }

    #[test]
    fn deletion_policy_is_not_added_next_to_its_alias() {
        let old = json!({"version": "13.16", "terminationPolicy": "WipeOut"});
        assert_eq!(fields(&postgres_defaults(&old)), ["replicas", "storageType"]);
        let new = json!({"version": "13.16", "replicas": 3});
        assert_eq!(fields(&postgres_defaults(&new)), ["storageType", "deletionPolicy"]);
    }

    #[test]
    fn object_without_a_spec_gets_no_defaults() {
        assert_eq!(postgres_defaults(&json!([])), []);
        assert_eq!(postgres_defaults(&json!(null)), []);
    }
}
