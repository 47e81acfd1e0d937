//! The pod that asks a server's program whether it would start with the settings of a Secret, before the database gets that.
//!
//! A pod and no Job: one that a quota or a policy refuses is refused at once, with their message, and the kubelet starts the
//! container again while it has rejected the settings, so that a corrected Secret is noticed.

use k8s_openapi::api::core::v1::{Affinity, Container, EnvVar, Pod, PodSpec};
use kube::ResourceExt;
use pgops_api::settings::digest;
use pgops_api::{Postgres, layout, names};

use super::containers::{pod_security, restricted, strings};
use super::images::Images;
use super::metadata::metadata;
use super::pod::install;
use super::volumes::{check_mounts, check_volumes};
use crate::design::Design;

/// It does nothing that would have to be finished.
const GRACE_SECONDS: i64 = 2;

/// The pod that checks the settings in a Secret, together with those that are in the object itself, by the program of the image
/// that will run. It has neither a token nor the password nor the volume.
pub fn check_pod(database: &Postgres, design: &Design, images: &Images, secret: &str) -> Pod {
    let name = database.name_any();
    let mut metadata = metadata(database, names::settings_check(&name));
    metadata.labels = Some(
        [
            (names::LABEL_NAME.to_owned(), names::LABEL_NAME_SETTINGS_CHECK.to_owned()),
            (names::LABEL_DATABASE.to_owned(), names::label(&name).to_owned()),
        ]
        .into(),
    );
    let subject = subject(database, design, images, secret);
    metadata.annotations = Some([(names::ANNOTATION_SETTINGS_CHECK.to_owned(), subject)].into());
    let user = design.pod.spec.clone();
    Pod {
        metadata,
        spec: Some(PodSpec {
            // The pull secrets and permissions that it may have are those of the database's own pod.
            service_account_name: Some(name),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            restart_policy: Some("OnFailure".to_owned()),
            termination_grace_period_seconds: Some(GRACE_SECONDS),
            security_context: Some(pod_security(design.uid)),
            init_containers: Some(vec![install(images)]),
            containers: vec![check(database, design, images, secret)],
            volumes: Some(check_volumes(database, secret)),
            node_selector: images.args.node_selector(user.node_selector),
            tolerations: user.tolerations,
            // Not away from other pods, such as the database's own: there may be one node.
            affinity: user
                .affinity
                .and_then(|it| it.node_affinity)
                .map(|node| Affinity { node_affinity: Some(node), ..Affinity::default() }),
            image_pull_secrets: images.args.pull_secrets(user.image_pull_secrets),
            ..PodSpec::default()
        }),
        status: None,
    }
}

/// Identifies what the pod checks.
fn subject(database: &Postgres, design: &Design, images: &Images, secret: &str) -> String {
    let tls = if database.server_tls().is_some() { "tls" } else { "" };
    let pgdata = layout::pgdata(design.major);
    let parts = [secret, &design.image.image, &images.instance, &pgdata, tls, database.inline_settings()];
    digest(&parts.join("\n"))
}

fn check(database: &Postgres, design: &Design, images: &Images, secret: &str) -> Container {
    let instance = format!("{}/pgops-instance", layout::TOOLS_DIR);
    let variable =
        |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), ..EnvVar::default() };
    let tls = database.server_tls().map(|tls| variable("PGOPS_SSL_MODE", tls.mode.as_str().to_owned()));
    Container {
        name: names::CONTAINER_SETTINGS_CHECK.to_owned(),
        image: Some(design.image.image.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(strings(&[&instance, "check-settings"])),
        env: Some([variable("PGDATA", layout::pgdata(design.major))].into_iter().chain(tls).collect()),
        resources: Some(images.install_resources.clone().into()),
        security_context: Some(restricted()),
        // It writes what the server reports, which may be a line of the Secret, and no log.
        termination_message_policy: Some("File".to_owned()),
        volume_mounts: Some(check_mounts(secret)),
        ..Container::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::ExistingData;
    use crate::design::design;
    use crate::fixtures::{built, database, images, version};
    use serde_json::{Value, json};

    fn pod(change: Value, secret: &str) -> Pod {
        let (database, version) = (database(change), version("13.16", "13.16", None));
        let design = design(&database, Some(&version), None, &ExistingData::default(), None).unwrap();
        check_pod(&database, &design, &images(), secret)
    }

    fn subject_of(pod: &Pod) -> &str {
        &pod.annotations()[names::ANNOTATION_SETTINGS_CHECK]
    }

    #[test]
    fn pod_has_the_settings_and_neither_token_nor_password_nor_volume() {
        let pod = pod(json!({}), "new");
        let spec = pod.spec.as_ref().unwrap();
        assert_eq!(spec.automount_service_account_token, Some(false));
        let volumes: Vec<_> = spec.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
        assert_eq!(volumes, ["pgops", "tmp", "settings", "config"]);
        assert_eq!(layout::mounted_settings_secret(spec), Some("new"));
        let server = built(&database(json!({})), &version("13.16", "13.16", None)).workload;
        let server = server.spec.unwrap().template.spec.unwrap();
        assert_eq!(spec.containers[0].image, server.containers[0].image);
        assert_eq!(spec.security_context, server.security_context);
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        for container in containers {
            let security = container.security_context.as_ref().unwrap();
            assert_eq!(
                (security.allow_privilege_escalation, security.read_only_root_filesystem),
                (Some(false), Some(true))
            );
            assert!(
                container.resources.as_ref().unwrap().limits.is_some(),
                "a quota refuses it: {}",
                container.name
            );
        }
    }

    #[test]
    fn pod_is_not_taken_for_one_of_the_database() {
        let built = built(&database(json!({})), &version("13.16", "13.16", None));
        let pod = pod(json!({}), "new");
        let finds = |selector: std::collections::BTreeMap<String, String>| {
            selector.iter().all(|(key, value)| pod.labels().get(key) == Some(value))
        };
        assert!(!finds(built.budget.spec.unwrap().selector.unwrap().match_labels.unwrap()));
        for service in built.services {
            assert!(!finds(service.spec.unwrap().selector.unwrap()));
        }
        assert_eq!(pod.metadata.owner_references.unwrap()[0].controller, Some(true));
    }

    #[test]
    fn pod_does_not_keep_away_from_the_databases_own() {
        let affinity = json!({
            "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [] } },
            "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [] },
        });
        let affinity =
            pod(json!({ "podTemplate": { "spec": { "affinity": affinity } } }), "new").spec.unwrap().affinity;
        let affinity = affinity.unwrap();
        assert!(affinity.node_affinity.is_some() && affinity.pod_anti_affinity.is_none());
    }

    #[test]
    fn another_check_is_due_for_whatever_may_change_its_result() {
        let first = pod(json!({}), "new");
        let inline = json!({ "configuration": { "inline": { "user.conf": "work_mem = '8MB'" } } });
        let tls = json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } });
        for other in [pod(json!({}), "newer"), pod(inline, "new"), pod(tls, "new")] {
            assert_ne!(subject_of(&first), subject_of(&other));
        }
        assert_eq!(subject_of(&first), subject_of(&pod(json!({ "deletionPolicy": "Halt" }), "new")));
    }
}
