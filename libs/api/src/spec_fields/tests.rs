use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::spec_check::SpecProblemReason;

#[rstest]
#[case(json!({ "init": { "waitForInitialRestore": true } }), "spec.init.waitForInitialRestore: \"true\"")]
#[case(json!({ "init": { "script": { "configMap": { "name": "a" } } } }), "spec.init.script: it is not supported")]
#[case(json!({ "init": { "archiver": { "recoveryTimestamp": "now" } } }), "spec.init.archiver: it is not supported")]
#[case(json!({ "remoteReplica": { "sourceRef": { "name": "a" } } }), "spec.remoteReplica: it is not supported")]
#[case(json!({ "mode": "RemoteReplica" }), "spec.mode: \"RemoteReplica\" is not supported")]
#[case(json!({ "archiver": { "ref": { "name": "a" } } }), "spec.archiver: it is not supported")]
#[case(json!({ "tls": { "certificatess": [{ "alias": "server" }] } }), "spec.tls.certificatess: this field is unknown")]
#[case(json!({ "deletionPolicyy": "DoNotTerminate" }), "spec.deletionPolicyy: this field is unknown and would have no effect: did you mean deletionPolicy?")]
#[case(json!({ "storage": { "resource": {} , "resourcess": { "a": 1 } } }), "spec.storage.resourcess: this field is unknown")]
#[case(
    json!({ "podTemplate": { "spec": { "containers": [{ "name": "postgres", "image": "mine:1" }] } } }),
    "spec.podTemplate.spec.containers[0].image: it is not supported: another image would run"
)]
#[case(json!({ "podTemplate": { "spec": { "runtimeClassName": "gvisor" } } }), "spec.podTemplate.spec.runtimeClassName")]
#[case(json!({ "podTemplate": { "spec": { "hostUsers": false } } }), "spec.podTemplate.spec.hostUsers: \"false\"")]
fn field_whose_promise_would_be_broken_is_refused(#[case] spec: Value, #[case] expected: &str) {
    let findings = field_findings(&spec);
    let texts: Vec<_> = findings.refused.iter().map(ToString::to_string).collect();
    assert!(texts.len() == 1 && texts[0].contains(expected), "{findings:?}");
}

#[rstest]
#[case(json!({ "monitor": { "agent": "prometheus.io" } }), "spec.monitor has no effect: pgops runs no exporter")]
#[case(json!({ "serviceTemplates": [{ "alias": "primary" }] }), "spec.serviceTemplates has no effect")]
#[case(json!({ "configuration": { "tuning": {"profile": "web"} } }), "spec.configuration.tuning has no effect")]
#[case(json!({ "streamingMode": "Synchronous" }), "spec.streamingMode: \"Synchronous\" has no effect")]
#[case(json!({ "quux": 1 }), "spec.quux has no effect: pgops does not know this field")]
#[case(
    json!({ "podTemplate": { "spec": { "containers": [{ "name": "exporter" }] } } }),
    "spec.podTemplate.spec.containers[0] has no effect: only the container postgres"
)]
#[case(
    json!({ "podTemplate": { "spec": { "containers": [{ "name": "postgres", "livenessProbe": { "a": 1 } }] } } }),
    "spec.podTemplate.spec.containers[0].livenessProbe has no effect"
)]
fn field_without_effect_is_warned_about_by_name(#[case] spec: Value, #[case] expected: &str) {
    let findings = field_findings(&spec);
    assert_eq!(findings.refused, []);
    assert!(findings.warnings.len() == 1 && findings.warnings[0].contains(expected), "{findings:?}");
}

#[rstest]
#[case::honoured(json!({
    "version": "17.11", "replicas": 1, "halted": false, "authSecret": { "name": "a", "externallyManaged": true },
    "storage": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    "podTemplate": { "metadata": { "labels": { "any": "label" } }, "spec": {
        "affinity": { "podAntiAffinity": {} },
        "containers": [{ "name": "postgres", "resources": { "limits": { "cpu": "1" } }, "env": [{ "name": "A" }] }],
    } },
}))]
#[case::values_that_come_true(json!({
    "sslMode": "require", "clientAuthMode": "cert", "mode": "Standalone",
    "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" }, "certificates": [{ "alias": "server" }] }, "standbyMode": "Hot",
    "streamingMode": "Asynchronous", "init": { "initialized": true }, "distributed": false,
}))]
#[case::synchronous_standbys(json!({ "replicas": 3, "streamingMode": "Synchronous" }))]
#[case::defaults_of_kubedb(json!({
    "allowedSchemas": { "namespaces": { "from": "Same" } },
    "healthChecker": { "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 1 },
}))]
#[case::empty(json!({ "tls": null, "init": {}, "serviceTemplates": [], "sslMode": "", "podTemplate": { "controller": {} } }))]
#[case::of_another_type(json!("text"))]
fn field_that_does_what_it_says_has_no_finding(#[case] spec: Value) {
    assert_eq!(field_findings(&spec), FieldFindings::default());
}

#[test]
fn findings_of_a_change_are_only_the_new_ones() {
    let old = json!({ "archiver": { "a": 1 }, "monitor": { "a": 1 } });
    assert_eq!(changed_field_findings(&old, &old), FieldFindings::default());
    let new = json!({ "archiver": { "a": 2 }, "monitor": { "a": 2 }, "mode": "RemoteReplica", "arbiter": { "a": 1 } });
    let findings = changed_field_findings(&new, &old);
    assert_eq!(findings.refused.len(), 1);
    assert_eq!(findings.refused[0].reason, SpecProblemReason::UnsupportedField);
    assert_eq!(findings.warnings.len(), 1);
}

#[test]
fn findings_are_bounded() {
    let many: serde_json::Map<String, Value> = (0..1000).map(|it| (format!("x{it}"), json!(1))).collect();
    assert_eq!(field_findings(&Value::Object(many)).warnings.len(), MAX_FINDINGS);
    let long = json!({ ("y".repeat(100_000)): 1 });
    assert!(field_findings(&long).warnings[0].len() < 200);
}

#[test]
fn field_table_is_sorted_and_has_every_field_of_the_schema() {
    let paths: Vec<_> = fields().map(|field| field.path).collect();
    assert_eq!(paths.iter().collect::<BTreeSet<_>>().len(), paths.len(), "a field twice");
    for crd in crate::crds::all().iter().filter(|crd| crd.spec.names.kind == "Postgres") {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let spec =
            schema.pointer("/openAPIV3Schema/properties/spec/properties").unwrap().as_object().unwrap();
        for name in spec.keys() {
            let below = format!("{name}.");
            assert!(paths.iter().any(|path| path == name || path.starts_with(&below)), "{name} is missing");
        }
    }
}

#[test]
fn note_of_a_field_fits_a_warning() {
    for field in fields() {
        let shown = format!("spec.{} has no effect: {}", field.path, field.note);
        assert!(shown.chars().count() <= crate::admission::MAX_WARNING, "{shown}");
    }
}

#[test]
fn manifests_for_kubedb_are_admitted() {
    for manifest in [
        include_str!("../../../../tests/manifests/kubedb-v1.yaml"),
        include_str!("../../../../tests/manifests/kubedb-v1alpha2.yaml"),
    ] {
        let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
        assert_eq!(field_findings(&manifest["spec"]).refused, []);
    }
}
