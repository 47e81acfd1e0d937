//! The fields of a `PostgresOpsRequest`. Its schema stores all fields, for the operations that pgops does not execute.

use serde_json::Value;

use super::findings::{FieldFindings, MAX_FINDINGS};
use crate::opsrequest::RequestType;

/// Fields of every request.
const COMMON: [&str; 5] = ["apply", "databaseRef", "maxRetries", "timeout", "type"];
/// Fields of each operation.
const OF_OPERATIONS: [(&str, &[RequestType]); 13] = [
    ("authentication", &[RequestType::RotateAuth]),
    ("configuration", &[RequestType::Reconfigure]),
    ("forceFailOver", &[RequestType::ForceFailOver]),
    ("horizontalScaling", &[RequestType::HorizontalScaling]),
    ("migration", &[RequestType::StorageMigration]),
    ("reconnectStandby", &[RequestType::ReconnectStandby]),
    ("restart", &[RequestType::Restart]),
    ("setRaftKeyPair", &[RequestType::SetRaftKeyPair]),
    ("tls", &[RequestType::ReconfigureTLS]),
    ("updateVersion", &[RequestType::UpdateVersion, RequestType::Upgrade]),
    ("upgrade", &[RequestType::UpdateVersion, RequestType::Upgrade]),
    ("verticalScaling", &[RequestType::VerticalScaling]),
    ("volumeExpansion", &[RequestType::VolumeExpansion]),
];
/// Fields below that of a day-two operation, as far as pgops acts on them.
const BELOW: [(&str, &[&str]); 5] = [
    ("authentication", &["secretRef"]),
    ("configuration", &["applyConfig", "configSecret", "removeCustomConfig", "restart"]),
    ("restart", &[]),
    ("verticalScaling", &["postgres"]),
    ("volumeExpansion", &["mode", "postgres"]),
];
/// Containers whose resources `KubeDB` changes, and which databases of pgops do not have.
const OTHER_CONTAINERS: [&str; 4] = ["arbiter", "coordinator", "exporter", "readReplicas"];

/// Looks at each field of the spec of a request of this type, which pgops executes.
#[must_use]
pub fn request_field_findings(type_: RequestType, spec: &Value) -> FieldFindings {
    let mut findings = FieldFindings::default();
    let is_of_type = |name: &str| {
        COMMON.contains(&name)
            || OF_OPERATIONS.iter().any(|(field, types)| *field == name && types.contains(&type_))
    };
    for (name, value) in set_fields(spec) {
        if is_of_type(name) {
            findings.visit_below(name, value);
        } else if OF_OPERATIONS.iter().any(|(field, _)| *field == name) {
            findings.warnings.push(format!("spec.{name} has no effect on a request of type {type_}"));
        } else {
            let known =
                OF_OPERATIONS.iter().filter(|(_, types)| types.contains(&type_)).map(|(field, _)| *field);
            findings.unknown("spec", name, COMMON.into_iter().chain(known));
        }
    }
    findings
}

impl FieldFindings {
    fn visit_below(&mut self, field: &str, value: &Value) {
        let Some((_, known)) = BELOW.iter().find(|(name, _)| *name == field) else { return };
        let parent = format!("spec.{field}");
        for (name, _) in set_fields(value).filter(|(name, _)| !known.contains(name)) {
            if field == "verticalScaling" && OTHER_CONTAINERS.contains(&name) {
                self.warnings.push(format!(
                    "{parent}.{name} has no effect: the pod has no other container than postgres"
                ));
            } else {
                self.unknown(&parent, name, known.iter().copied());
            }
        }
    }
}

/// The fields of an object that are set; of very many the first.
fn set_fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    fields.map(|(name, value)| (name.as_str(), value)).take(MAX_FINDINGS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn of(spec: &Value) -> FieldFindings {
        let type_ = serde_json::from_value(spec["type"].clone()).unwrap();
        request_field_findings(type_, spec)
    }

    #[test]
    fn request_fields_without_effect_are_found() {
        let findings = of(&json!({
            "type": "UpdateVersion", "updateVersion": {}, "timeoutt": "5m", "restart": {}, "quux": 1, "tls": null,
        }));
        assert_eq!(findings.refused.len(), 1);
        assert!(findings.refused[0].to_string().contains("did you mean timeout?"), "{findings:?}");
        assert_eq!(findings.warnings.len(), 2);
    }

    #[rstest]
    #[case(json!({ "type": "Upgrade", "databaseRef": {}, "upgrade": {}, "apply": "Always", "maxRetries": 1 }))]
    #[case(json!({ "type": "Restart", "databaseRef": {}, "restart": {} }))]
    #[case(json!({ "type": "Reconfigure", "configuration": { "applyConfig": {}, "restart": "auto" } }))]
    #[case(json!({ "type": "VolumeExpansion", "volumeExpansion": { "mode": "Online", "postgres": "2Gi" } }))]
    fn fields_of_the_operation_have_no_finding(#[case] spec: Value) {
        assert_eq!(of(&spec), FieldFindings::default());
    }

    #[test]
    fn fields_below_that_of_the_operation_are_looked_at() {
        let findings = of(&json!({
            "type": "VerticalScaling", "updateVersion": {}, "verticalScaling": { "postgres": {}, "exporter": {} },
        }));
        assert_eq!(findings.refused, []);
        assert_eq!(findings.warnings.len(), 2, "{findings:?}");
        let misspelled = of(&json!({ "type": "Reconfigure", "configuration": { "applyConfigg": {} } }));
        assert!(misspelled.refused[0].to_string().contains("did you mean applyConfig?"), "{misspelled:?}");
    }
}
