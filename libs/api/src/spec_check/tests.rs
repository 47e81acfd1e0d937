use rstest::rstest;
use serde_json::{Value, json};

use super::*;

/// A valid database with another value in a field of the spec.
fn database(pointer: &str, value: Value) -> Postgres {
    let mut manifest = json!({
        "apiVersion": "kubedb.com/v1",
        "kind": "Postgres",
        "metadata": { "name": "orders", "namespace": "demo" },
        "spec": {
            "version": "17.11",
            "storage": { "resources": { "requests": { "storage": "1Gi" } } },
            "podTemplate": { "metadata": {}, "spec": { "containers": [{ "name": "postgres" }] } },
        },
    });
    if !pointer.is_empty() {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        manifest.pointer_mut(parent).unwrap()[key] = value;
    }
    serde_json::from_value(manifest).unwrap()
}

fn named(name: &str) -> Postgres {
    database("/metadata/name", json!(name))
}

fn stored(storage: Value) -> Postgres {
    database("/spec/storage", storage)
}

fn sized(size: impl Into<Value>) -> Postgres {
    stored(json!({ "resources": { "requests": { "storage": size.into() } } }))
}

fn with_modes(modes: &[&str]) -> Postgres {
    stored(json!({ "accessModes": modes, "resources": { "requests": { "storage": "1Gi" } } }))
}

fn with_claim(field: &str, value: Value) -> Postgres {
    let mut claim = json!({ "resources": { "requests": { "storage": "1Gi" } } });
    claim[field] = value;
    stored(claim)
}

fn with_resources(resources: Value) -> Postgres {
    database("/spec/podTemplate/spec/containers/0/resources", resources)
}

#[rstest]
#[case::plain(database("", json!(null)))]
#[case::longest_name(named(&"o".repeat(52)))]
#[case::size_as_number(sized(1_073_741_824))]
#[case::size_with_exponent(sized("1e9"))]
#[case::no_access_mode(with_modes(&[]))]
#[case::shared_volume(with_modes(&["ReadWriteMany", "ReadOnlyMany"]))]
#[case::without_class(with_claim("storageClassName", json!("")))]
#[case::default_class(with_claim("storageClassName", json!(null)))]
#[case::ephemeral_without_storage(database("/spec", json!({ "version": "17.11", "storageType": "Ephemeral" })))]
#[case::cpu_as_number(with_resources(json!({ "requests": { "cpu": 1 }, "limits": { "cpu": 2.5, "memory": "1Gi" } })))]
#[case::extended_resource(with_resources(json!({ "limits": { "nvidia.com/gpu": 1 } })))]
#[case::empty_references(database("/spec/authSecret", json!({ "name": "" })))]
#[case::labels(database("/spec/podTemplate/metadata/labels", json!({ "team.example/name": "", "a": "B_1.c" })))]
#[case::tolerations(database("/spec/podTemplate/spec/tolerations", json!([{ "operator": "Exists" }, { "key": "a" }])))]
#[case::annotation_in_capitals(database("/spec/podTemplate/metadata/annotations", json!({ "Team.example/Name": "a" })))]
#[case::toleration_for_a_time(database("/spec/podTemplate/spec/tolerations", json!([
    { "key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30 },
])))]
#[case::huge_pages(with_resources(json!({
    "requests": { "hugepages-2Mi": "4Mi" }, "limits": { "hugepages-2Mi": "4Mi", "memory": "1Gi" },
})))]
#[case::user(database("/spec/podTemplate/spec/securityContext", json!({ "runAsUser": 999 })))]
fn spec_that_can_be_built_has_no_problems(#[case] database: Postgres) {
    assert_eq!(spec_problems(&database), []);
}

#[rstest]
#[case(named("orders.v2"), "metadata.name: \"orders.v2\" cannot name a StatefulSet")]
#[case(named("2orders"), "metadata.name: \"2orders\" cannot name a StatefulSet")]
#[case(named(&"o".repeat(53)), "use at most 52 characters")]
#[case(database("/spec/replicas", json!(0)), "spec.replicas: 0 is not supported: set spec.replicas: 1")]
#[case(database("/spec/replicas", json!(-1)), "spec.replicas: -1 is negative")]
#[case(database("/spec/replicas", json!(3)), "spec.replicas: 3 is not supported: pgops runs one server")]
#[case(stored(json!(null)), "spec.storage.resources.requests.storage: a Durable database requires a size")]
#[case(stored(json!({ "resources": { "requests": {} } })), "requires a size")]
#[case(sized("1GiB"), "spec.storage.resources.requests.storage: \"1GiB\" is not a quantity: write \"1Gi\"")]
#[case(sized("-1Gi"), "\"-1Gi\" is not a size")]
#[case(sized("0"), "\"0\" is not a size")]
#[case(sized(0), "\"0\" is not a size")]
#[case(sized("10"), "\"10\" is less than an empty database needs")]
#[case(
    stored(json!({ "resources": { "requests": { "storage": "2Gi" }, "limits": { "storage": "1Gi" } } })),
    "spec.storage.resources.limits.storage: \"1Gi\" is less than the requested \"2Gi\""
)]
#[case(with_modes(&["ReadWriteTwice"]), "spec.storage.accessModes[0]: \"ReadWriteTwice\" is not an access mode")]
#[case(with_modes(&["ReadOnlyMany"]), "does not let the server write")]
#[case(with_modes(&["ReadWriteOncePod", "ReadWriteOnce"]), "excludes all other modes")]
#[case(with_claim("storageClassName", json!("Fast SSD")), "spec.storage.storageClassName: \"Fast SSD\" cannot be")]
#[case(with_claim("storageClassName", json!(" ")), "spec.storage.storageClassName: \" \" cannot be")]
#[case(with_claim("volumeMode", json!("Block")), "spec.storage.volumeMode: \"Block\" has no file system")]
#[case(database("/spec/configSecret", json!({ "name": "My_Conf" })), "spec.configSecret.name: \"My_Conf\"")]
#[case(
    database("/spec/configuration", json!({ "secretName": "My_Conf" })),
    "spec.configuration.secretName: \"My_Conf\""
)]
#[case(
    with_resources(json!({ "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } })),
    "spec.podTemplate.spec.containers[0].resources.requests.memory: \"2Gi\" is more than the limit \"1Gi\""
)]
#[case(with_resources(json!({ "limits": { "cpu": "two" } })), "resources.limits.cpu: \"two\" is not a quantity")]
#[case(with_resources(json!({ "limits": { "cpu": "-1" } })), "resources.limits.cpu: \"-1\" is negative")]
#[case(with_resources(json!({ "limits": { "cpus": "1" } })), "\"cpus\" is not a resource")]
#[case(with_resources(json!({ "limits": { "memory": "512" } })), "\"512\" is less than a mebibyte")]
#[case(
    with_resources(json!({ "requests": { "hugepages-2Mi": "4Mi" }, "limits": { "memory": "1Gi" } })),
    "cannot be overcommitted"
)]
#[case(
    with_resources(json!({ "requests": { "hugepages-2Mi": "4Mi" }, "limits": { "hugepages-2Mi": "4Mi" } })),
    "spec.podTemplate.spec.containers[0].resources: a container with hugepages-2Mi requires cpu or memory"
)]
#[case(with_resources(json!({ "claims": [{ "name": "gpu" }] })), "containers[0].resources.claims: the pod has no")]
#[case(
    database("/spec/podTemplate/spec", json!({ "resources": { "limits": { "cpu": "x" } } })),
    "spec.podTemplate.spec.resources.limits.cpu"
)]
#[case(
    database("/spec/podTemplate/spec/containers/0/securityContext", json!({ "runAsUser": 0 })),
    "spec.podTemplate.spec.containers[0].securityContext.runAsUser: 0 is root"
)]
#[case(
    database("/spec/podTemplate/spec/securityContext", json!({ "runAsUser": 0 })),
    "spec.podTemplate.spec.securityContext.runAsUser: 0 is root"
)]
#[case(
    database("/spec/podTemplate/spec/containers", json!("none")),
    "spec.podTemplate.spec.containers: invalid type: string \"none\""
)]
#[case(database("/spec/podTemplate/metadata/labels", json!({ "a": "b c" })), "spec.podTemplate.metadata.labels.a: \"b c\"")]
#[case(database("/spec/podTemplate/metadata/annotations", json!({ "a b": "" })), "\"a b\" cannot be a key")]
#[case(database("/spec/podTemplate/spec/nodeSelector", json!({ "disk": "a/b" })), "spec.podTemplate.spec.nodeSelector.disk")]
#[case(
    database("/spec/podTemplate/spec/containers/0/env", json!([{ "name": "A=B", "value": "c" }])),
    "spec.podTemplate.spec.containers[0].env: \"A=B\" cannot name"
)]
#[case(
    database("/spec/podTemplate/spec/tolerations", json!([{ "key": "a", "effect": "Never" }])),
    "spec.podTemplate.spec.tolerations[0].effect: \"Never\" is not an effect"
)]
#[case(
    database("/spec/podTemplate/spec/tolerations", json!([{ "key": "a b", "operator": "Exists" }])),
    "spec.podTemplate.spec.tolerations[0].key: \"a b\" cannot be the key of a taint"
)]
#[case(
    database(
        "/spec/podTemplate/spec/tolerations",
        json!([{ "key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 30 }])
    ),
    "spec.podTemplate.spec.tolerations[0].tolerationSeconds: only the effect \"NoExecute\""
)]
#[case(
    database("/spec/podTemplate/metadata/labels", json!({ "Team.example/name": "a" })),
    "\"Team.example/name\" cannot be a key"
)]
#[case(
    database("/spec/podTemplate/metadata/annotations", json!({ "team_a/name": "a" })),
    "\"team_a/name\" cannot be a key"
)]
#[case(
    database(
        "/spec/podTemplate/spec/containers/0/env",
        json!([{ "name": "A", "value": "1" }, { "name": "B" }, { "name": "A", "value": "2" }])
    ),
    "spec.podTemplate.spec.containers[0].env: \"A\" is listed twice"
)]
#[case(
    database("/spec/podTemplate/spec/imagePullSecrets", json!([{ "name": "a" }, { "name": "a" }])),
    "spec.podTemplate.spec.imagePullSecrets: \"a\" is listed twice"
)]
#[case(
    database(
        "/spec/podTemplate/spec/topologySpreadConstraints",
        json!([
            { "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" },
            { "maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule" },
        ])
    ),
    "spec.podTemplate.spec.topologySpreadConstraints: \"zone DoNotSchedule\" is listed twice"
)]
fn spec_problem_names_the_field_the_value_and_the_remedy(#[case] database: Postgres, #[case] expected: &str) {
    let problems = spec_problems(&database);
    assert_eq!(problems.len(), 1, "{problems:?}");
    let text = problems[0].to_string();
    assert!(text.contains(expected), "{text}");
}

#[test]
fn change_is_judged_only_by_what_it_makes_wrong() {
    let bad = with_modes(&["ReadWriteTwice"]);
    assert_eq!(change_problems(&bad, &bad), []);
    assert_eq!(change_problems(&sized("2Gi"), &bad), [], "a repair");
    let other = change_problems(&with_modes(&["ReadWriteThrice"]), &bad);
    assert!(other[0].message.contains("ReadWriteThrice"), "{other:?}");
    let removed = change_problems(&stored(json!(null)), &sized("1Gi"));
    assert_eq!(removed[0].reason, SpecProblemReason::StorageMissing);
}

#[test]
fn storage_shrinks_only_with_the_override() {
    assert_eq!(change_problems(&sized("2Gi"), &sized("1Gi")), []);
    assert_eq!(change_problems(&sized("1024Mi"), &sized("1Gi")), [], "the same amount");
    let mut smaller = sized("1Gi");
    let problems = change_problems(&smaller, &sized("2Gi"));
    assert_eq!(problems[0].reason, SpecProblemReason::StorageShrunk);
    assert!(
        problems[0].message.starts_with("1Gi is less than 2Gi, and a volume cannot shrink"),
        "{problems:?}"
    );
    smaller.metadata.annotations = Some([(ANNOTATION_OVERRIDE.to_owned(), "true".to_owned())].into());
    assert_eq!(change_problems(&smaller, &sized("2Gi")), []);
}

#[test]
fn admitted_storage_that_may_surprise_is_warned_about() {
    assert_eq!(spec_warnings(&sized("1Gi")), [] as [String; 0]);
    let ephemeral = database("/spec", json!({ "version": "17.11", "storageType": "Ephemeral" }));
    for (database, part) in [
        (with_modes(&["ReadWriteOncePod"]), "cannot be upgraded"),
        (with_claim("storageClassName", json!("")), "default class"),
        (ephemeral, "Ephemeral"),
    ] {
        assert!(spec_warnings(&database)[0].contains(part), "{part}");
    }
}

#[test]
fn change_of_a_claim_that_exists_is_warned_about_and_that_of_its_size_is_not() {
    let fast = || with_claim("storageClassName", json!("fast"));
    let change_warnings = |new: &Postgres, old: &Postgres| {
        let mut old = old.clone();
        assert!(super::storage::change_warnings(new, &old).is_empty(), "there is no claim yet");
        old.metadata.annotations = Some([(names::ANNOTATION_INITIALIZED.to_owned(), "true".to_owned())].into());
        change_warnings(new, &old)
    };
    assert_eq!(change_warnings(&sized("2Gi"), &sized("1Gi")), Vec::<String>::new());
    assert_eq!(change_warnings(&fast(), &fast()), Vec::<String>::new());
    for (new, old) in [(fast(), sized("1Gi")), (sized("1Gi"), fast())] {
        let warnings = change_warnings(&new, &old);
        assert!(
            warnings.len() == 1 && warnings[0].starts_with("spec.storage.storageClassName has no effect"),
            "{warnings:?}"
        );
    }
    let warnings = change_warnings(&with_modes(&["ReadWriteMany"]), &with_modes(&["ReadWriteOnce"]));
    assert!(warnings[0].starts_with("spec.storage.accessModes has no effect"), "{warnings:?}");
    let typo = || database("/spec/podTemplate/spec/affinity", json!({ "nodeaffinity": {} }));
    let warnings = change_warnings(&typo(), &database("", json!(null)));
    assert!(
        warnings.len() == 1 && warnings[0].contains("affinity.nodeaffinity has no effect"),
        "{warnings:?}"
    );
    assert_eq!(change_warnings(&typo(), &typo()), Vec::<String>::new());
}

/// A database with these fields in its spec.
fn with_fields(fields: &Value) -> Postgres {
    let mut spec =
        json!({ "version": "17.11", "storage": { "resources": { "requests": { "storage": "1Gi" } } } });
    spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    database("/spec", spec)
}

fn issuer() -> Value {
    json!({ "apiGroup": "cert-manager.io", "kind": "Issuer", "name": "ca" })
}

#[rstest]
#[case::none(json!({ "sslMode": "disable" }))]
#[case::issued(json!({ "tls": { "issuerRef": issuer() } }))]
#[case::issued_for_clients(json!({ "clientAuthMode": "cert", "tls": { "issuerRef": issuer() } }))]
#[case::issued_by_each_its_own(json!({ "tls": { "certificates": [{ "alias": "server", "issuerRef": issuer() }] } }))]
#[case::external_issuer(json!({ "tls": { "issuerRef": { "apiGroup": "awspca.cert-manager.io", "kind": "AWSPCAIssuer", "name": "ca" } } }))]
#[case::own_secret(json!({ "sslMode": "require", "tls": { "certificates": [{ "alias": "server", "secretName": "mine" }] } }))]
#[case::own_secrets(json!({ "clientAuthMode": "cert", "tls": { "certificates": [
    { "alias": "server", "secretName": "a" }, { "alias": "client", "secretName": "b" },
] } }))]
fn tls_with_its_certificates_has_no_problems(#[case] fields: Value) {
    let database = with_fields(&fields);
    assert_eq!(spec_problems(&database), []);
    assert_eq!(spec_warnings(&database), Vec::<String>::new());
}

#[rstest]
#[case(json!({ "sslMode": "require" }), "spec.sslMode: \"require\" requires a certificate of the server: set spec.tls.issuerRef")]
#[case(json!({ "sslMode": "prefer" }), "spec.sslMode: \"prefer\" requires a certificate")]
#[case(json!({ "clientAuthMode": "cert" }), "spec.clientAuthMode: \"cert\" requires TLS")]
#[case(json!({ "clientAuthMode": "cert", "sslMode": "disable", "tls": { "issuerRef": issuer() } }), "spec.clientAuthMode: \"cert\" requires TLS")]
#[case(json!({ "tls": {} }), "spec.tls: the server has no certificate: set issuerRef, or name a Secret")]
#[case(json!({ "tls": { "certificates": [{ "alias": "client", "secretName": "a" }] } }), "spec.tls: the server has no certificate")]
#[case(
    json!({ "clientAuthMode": "cert", "tls": { "certificates": [{ "alias": "server", "secretName": "a" }] } }),
    "spec.tls: spec.clientAuthMode \"cert\" requires a certificate of the superuser"
)]
#[case(
    json!({ "tls": { "issuerRef": issuer(), "certificates": [{ "alias": "server", "secretName": "orders-client-cert" }] } }),
    "spec.tls.certificates: Secret orders-client-cert cannot have two certificates"
)]
#[case(json!({ "tls": { "issuerRef": { "kind": "Issuer" } } }), "spec.tls.issuerRef.name: it is empty")]
#[case(json!({ "tls": { "issuerRef": { "kind": "issuer", "name": "ca" } } }), "spec.tls.issuerRef.kind: \"issuer\" is not a kind of cert-manager.io")]
#[case(
    json!({ "tls": { "issuerRef": issuer(), "certificates": [{ "alias": "servr" }] } }),
    "spec.tls.certificates[0].alias: \"servr\" is not an alias: set \"server\" or \"client\""
)]
#[case(
    json!({ "tls": { "issuerRef": issuer(), "certificates": [{ "alias": "server" }, { "alias": "server" }] } }),
    "spec.tls.certificates[1].alias: \"server\" is listed twice"
)]
#[case(
    json!({ "tls": { "certificates": [{ "alias": "server", "secretName": "A_b" }] } }),
    "spec.tls.certificates[0].secretName: \"A_b\" cannot be the name of an object"
)]
fn tls_without_what_it_needs_is_a_problem(#[case] fields: Value, #[case] expected: &str) {
    let problems = spec_problems(&with_fields(&fields));
    assert!(problems.len() == 1 && problems[0].to_string().starts_with(expected), "{problems:?}");
    assert_eq!(problems[0].reason, SpecProblemReason::InvalidTls);
}

#[rstest]
#[case(json!({ "sslMode": "disable", "tls": { "issuerRef": issuer() } }), "spec.tls has no effect: spec.sslMode is \"disable\"")]
#[case(
    json!({ "tls": { "issuerRef": issuer(), "certificates": [{ "alias": "metrics-exporter" }] } }),
    "spec.tls.certificates[0] has no effect: pgops runs no exporter"
)]
#[case(
    json!({ "tls": { "certificates": [{ "alias": "server", "secretName": "a", "duration": "24h" }] } }),
    "spec.tls.certificates[0]: only secretName has an effect, since there is no issuerRef"
)]
fn certificate_without_effect_is_warned_about(#[case] fields: Value, #[case] expected: &str) {
    let warnings = spec_warnings(&with_fields(&fields));
    assert!(warnings.len() == 1 && warnings[0].starts_with(expected), "{warnings:?}");
}

#[rstest]
#[case::promised(json!({ "sslMode": "require" }), Some(SpecProblemReason::InvalidTls))]
#[case::promised_by_certificates(json!({ "tls": {} }), Some(SpecProblemReason::InvalidTls))]
#[case::not_promised(json!({ "sslMode": "prefer" }), None)]
#[case::as_before_tls_was_known(json!({ "clientAuthMode": "cert" }), None)]
fn database_without_the_tls_that_it_promises_is_not_built(
    #[case] fields: Value,
    #[case] expected: Option<SpecProblemReason>,
) {
    assert_eq!(build_problem(&with_fields(&fields)).map(|problem| problem.reason), expected);
}

#[test]
fn two_secrets_with_settings_are_a_problem_and_the_same_one_twice_is_not() {
    let with = |older: &str| {
        let mut database = database("/spec/configuration", json!({ "secretName": "mine" }));
        database.spec.config_secret = serde_json::from_value(json!({ "name": older })).unwrap();
        spec_problems(&database)
    };
    assert_eq!((with("mine"), with("")), (vec![], vec![]));
    let problems = with("other");
    assert_eq!(problems.len(), 1);
    let text = problems[0].to_string();
    assert!(text.starts_with("spec.configuration.secretName: \"mine\" is another Secret than"), "{text}");
}
