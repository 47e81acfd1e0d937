use super::*;
use crate::claims::ExistingData;
use crate::design::design;
use crate::fixtures::{self, database, version};
use kube::ResourceExt;
use pgops_kube::ImageArgs;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn built(change: Value) -> Children {
    fixtures::built(&database(change), &version("13.16", "13.16", None))
}

fn pretty(object: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(object).unwrap()
}

#[test]
fn typical_database_matches_the_snapshots() {
    let built = built(json!({}));
    insta::assert_snapshot!("statefulset", pretty(&built.workload));
    insta::assert_snapshot!("services", pretty(&built.services));
    insta::assert_snapshot!("access", pretty(&(&built.account, &built.role, &built.binding)));
    insta::assert_snapshot!("budget", pretty(&built.budget));
}

#[test]
fn claims_are_retained_whatever_becomes_of_the_workload() {
    let spec = built(json!({})).workload.spec.unwrap();
    let policy = spec.persistent_volume_claim_retention_policy.unwrap();
    assert_eq!(
        [policy.when_scaled, policy.when_deleted],
        [Some("Retain".to_owned()), Some("Retain".to_owned())]
    );
    let claim = spec.volume_claim_templates.unwrap().remove(0);
    assert_eq!(claim.annotations()["pgops.dev/database-uid"], "5d1c");
}

#[test]
fn claims_record_what_the_next_database_of_the_name_must_know() {
    let condition = json!({
        "type": "AuthSecretCreated", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
        "message": pgops_api::postgres::auth_secret_message("orders-auth", "s-1"),
    });
    let mut with_secret = serde_json::to_value(database(json!({}))).unwrap();
    with_secret["status"] = json!({ "conditions": [condition] });
    let with_secret = serde_json::from_value(with_secret).unwrap();
    let built = fixtures::built(&with_secret, &version("13.16", "13.16", Some(70)));
    let claim = built.workload.spec.unwrap().volume_claim_templates.unwrap().remove(0);
    assert_eq!(claim.annotations()["pgops.dev/auth-secret-uid"], "s-1");
    assert_eq!(claim.annotations()["pgops.dev/run-as-user"], "70");
}

#[test]
fn selectors_find_the_pods_and_only_the_primary_is_writable() {
    let built = built(json!({}));
    let template = built.workload.spec.unwrap().template;
    let labels = template.metadata.unwrap().labels.unwrap();
    let finds = |selector: BTreeMap<String, String>| {
        selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    assert!(finds(built.budget.spec.unwrap().selector.unwrap().match_labels.unwrap()));
    let reached =
        built.services.map(|service| (service.name_any(), finds(service.spec.unwrap().selector.unwrap())));
    let expected = [("orders-pods", true), ("orders-standby", false), ("orders", true)];
    assert_eq!(reached, expected.map(|(name, found)| (name.to_owned(), found)));
}

#[test]
fn database_with_every_setting_matches_the_snapshot() {
    let built = built(json!({
        "storageType": "Ephemeral",
        "halted": true,
        "authSecret": { "name": "my-auth" },
        "configSecret": { "name": "my-config" },
        "clientAuthMode": "scram",
        "podTemplate": {
            "metadata": { "labels": { "team": "shop", "kubedb.com/role": "standby" }, "annotations": { "a": "b" } },
            "spec": {
                "nodeSelector": { "disk": "fast" },
                "tolerations": [{ "key": "db", "operator": "Exists" }],
                "imagePullSecrets": [{ "name": "registry" }],
                "priorityClassName": "important",
                "containers": [{
                    "name": "postgres",
                    "env": [{ "name": "POSTGRES_INITDB_ARGS", "value": "--wal-segsize=64" }],
                    "resources": { "limits": { "memory": "1Gi" } },
                }],
            },
        },
    }));
    insta::assert_snapshot!("statefulset_with_everything", pretty(&built.workload));
}

#[test]
fn settings_are_mounted_from_the_secret_under_either_name_of_its_field() {
    let mounted = |change: serde_json::Value| {
        let pod = built(change).workload.spec.unwrap().template.spec.unwrap();
        let volume = pod.volumes.into_iter().flatten().find(|volume| volume.name == "config");
        volume.and_then(|volume| volume.secret?.secret_name)
    };
    assert_eq!(mounted(json!({ "configSecret": { "name": "mine" } })).as_deref(), Some("mine"));
    assert_eq!(mounted(json!({ "configuration": { "secretName": "mine" } })).as_deref(), Some("mine"));
    assert_eq!(mounted(json!({ "configuration": { "secretName": "" } })), None);
}

#[test]
fn pod_pulls_with_the_secrets_of_the_installation_on_nodes_of_its_architecture() {
    let database = database(json!({
        "podTemplate": { "spec": { "imagePullSecrets": [{ "name": "mine" }], "nodeSelector": { "disk": "fast" } } },
    }));
    let version = version("13.16", "13.16", None);
    let design = design(&database, Some(&version), None, &ExistingData::default(), None).unwrap();
    let args =
        ImageArgs { image_pull_secrets: vec!["mirror".into()], image_architecture: Some("amd64".into()) };
    let images = Images { args, ..fixtures::images() };
    let pod = children(&database, &design, &images).workload.spec.unwrap().template.spec.unwrap();
    let secrets: Vec<_> = pod.image_pull_secrets.unwrap().into_iter().map(|secret| secret.name).collect();
    assert_eq!(secrets, ["mine", "mirror"]);
    let selector = [("disk", "fast"), ("kubernetes.io/arch", "amd64")];
    assert_eq!(pod.node_selector.unwrap(), selector.map(|(key, value)| (key.into(), value.into())).into());
}

/// PostgreSQL refuses a key that others may read.
#[test]
fn server_mounts_its_certificate_with_the_key_for_its_group_alone() {
    let tls = json!({ "issuerRef": { "kind": "Issuer", "name": "ca" } });
    let pod = built(json!({ "tls": tls })).workload.spec.unwrap().template.spec.unwrap();
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == "tls").unwrap();
    let projected = volume.projected.as_ref().unwrap();
    assert_eq!(projected.default_mode, Some(0o440));
    let sources = projected.sources.as_ref().unwrap();
    let keys = |index: usize| {
        let secret = sources[index].secret.as_ref().unwrap();
        let items: Vec<_> = secret.items.iter().flatten().map(|item| item.key.as_str()).collect();
        (secret.name.as_str(), items, secret.optional)
    };
    assert_eq!(keys(0), ("orders-server-cert", vec!["tls.crt", "tls.key"], Some(false)));
    assert_eq!(keys(1), ("orders-server-cert", vec!["ca.crt"], Some(true)));
    let server = &pod.containers[0];
    assert!(server.volume_mounts.iter().flatten().any(|mount| mount.mount_path == "/etc/pgops/tls"));
    let mode = server.env.iter().flatten().find(|it| it.name == "PGOPS_SSL_MODE").unwrap();
    assert_eq!(mode.value.as_deref(), Some("verify-full"));
    assert!(
        pod.init_containers.iter().flatten().all(|it| it
            .volume_mounts
            .iter()
            .flatten()
            .all(|it| it.name != "tls"))
    );
}
