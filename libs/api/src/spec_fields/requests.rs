//! The fields of a `PostgresOpsRequest`. Its schema stores all fields, for the operations that pgops does not execute.

use serde_json::Value;

use super::findings::{FieldFindings, MAX_FINDINGS};

/// Fields of a request that changes the version.
const KNOWN: [&str; 7] =
    ["apply", "databaseRef", "maxRetries", "timeout", "type", "updateVersion", "upgrade"];
/// Fields of other operations.
const OTHER_OPERATIONS: [&str; 11] = [
    "authentication",
    "configuration",
    "forceFailOver",
    "horizontalScaling",
    "migration",
    "reconnectStandby",
    "restart",
    "setRaftKeyPair",
    "tls",
    "verticalScaling",
    "volumeExpansion",
];

/// Looks at each field of the spec of a request that changes the version.
#[must_use]
pub fn request_field_findings(spec: &Value) -> FieldFindings {
    let mut findings = FieldFindings::default();
    let fields = spec.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    for (name, _) in fields.filter(|(name, _)| !KNOWN.contains(&name.as_str())).take(MAX_FINDINGS) {
        if OTHER_OPERATIONS.contains(&name.as_str()) {
            let warning =
                format!("spec.{name} has no effect: the request changes the version and nothing else");
            findings.warnings.push(warning);
        } else {
            findings.unknown("spec", name, KNOWN.into_iter());
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn request_fields_without_effect_are_found() {
        let findings = request_field_findings(&json!({
            "type": "UpdateVersion", "updateVersion": {}, "timeoutt": "5m", "restart": {}, "quux": 1, "tls": null,
        }));
        assert_eq!(findings.refused.len(), 1);
        assert!(findings.refused[0].to_string().contains("did you mean timeout?"), "{findings:?}");
        assert_eq!(findings.warnings.len(), 2);
        let plain = json!({ "type": "Upgrade", "databaseRef": {}, "upgrade": {}, "apply": "Always", "maxRetries": 1 });
        assert_eq!(request_field_findings(&plain), FieldFindings::default());
    }
}
