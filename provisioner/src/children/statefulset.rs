//! The StatefulSet of a database: its pods.

use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Capabilities, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, HTTPGetAction, KeyToPath,
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use pgops_api::postgres::ClientAuthMode;
use pgops_api::{Postgres, layout, names};

use super::images::Images;
use super::metadata::{labels, metadata, selector};
use crate::design::{Design, Storage};

/// Seconds that a server has for a clean shutdown: its last checkpoint may write all of its memory.
const GRACE_SECONDS: i64 = 300;
/// Read by the owner and by the pod's group.
const SECRET_MODE: i32 = 0o440;
/// Volume with pgops' programs, the generated passwd file and files that live as long as a container.
const VOLUME_TOOLS: &str = "pgops";

pub fn statefulset(database: &Postgres, design: &Design, images: &Images) -> StatefulSet {
    let name = database.name_any();
    let halted = database.spec.halted.unwrap_or_default();
    StatefulSet {
        metadata: metadata(database, name.clone()),
        spec: Some(StatefulSetSpec {
            replicas: Some(if halted { 0 } else { database.replicas() }),
            selector: selector(database),
            service_name: Some(names::pods_service(&name)),
            // With OrderedReady, a pod that waits would block the creation of the pod that it waits for.
            pod_management_policy: Some("Parallel".to_owned()),
            // Pods are replaced by whichever component knows when it is safe, never by a change of the template.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            template: PodTemplateSpec {
                metadata: Some(pod_metadata(&name, design)),
                spec: Some(pod(database, design, images)),
            },
            volume_claim_templates: claims(&name, &design.storage),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

/// The role is a label in the template as long as there is one server, which is the primary.
fn pod_metadata(database: &str, design: &Design) -> ObjectMeta {
    let user = &design.pod.metadata;
    let mut pod_labels = user.labels.clone();
    pod_labels.extend(labels(database));
    pod_labels.insert(names::LABEL_ROLE.to_owned(), names::ROLE_PRIMARY.to_owned());
    let annotations = Some(user.annotations.clone()).filter(|annotations| !annotations.is_empty());
    ObjectMeta { labels: Some(pod_labels), annotations, ..ObjectMeta::default() }
}

fn pod(database: &Postgres, design: &Design, images: &Images) -> PodSpec {
    let user = design.pod.spec.clone();
    PodSpec {
        service_account_name: Some(database.name_any()),
        // Variables such as ORDERS_PORT for each Service of the namespace are of no use here.
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE_SECONDS),
        security_context: Some(PodSecurityContext {
            run_as_user: Some(design.uid),
            run_as_group: Some(design.uid),
            run_as_non_root: Some(true),
            fs_group: Some(design.uid),
            // Not on every mount: it would open the data directory to the group each time.
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }),
        init_containers: Some(vec![install(images)]),
        containers: vec![server(database, design, images)],
        volumes: Some(volumes(database, &design.storage)),
        node_selector: user.node_selector,
        tolerations: user.tolerations,
        affinity: user.affinity,
        topology_spread_constraints: user.topology_spread_constraints,
        image_pull_secrets: user.image_pull_secrets,
        priority_class_name: user.priority_class_name,
        ..PodSpec::default()
    }
}

fn install(images: &Images) -> Container {
    let passwd = format!("{}/passwd", layout::PASSWD_DIR);
    Container {
        name: "install".to_owned(),
        image: Some(images.instance.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(words(&["/pgops-instance", "install", "--to", layout::TOOLS_DIR, "--passwd", &passwd])),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(vec![mount(VOLUME_TOOLS, "/pgops")]),
        ..Container::default()
    }
}

/// No liveness probe: a server that recovers, or an instance that waits for an upgrade, must not be
/// restarted, and the end of a server ends its container anyway.
fn server(database: &Postgres, design: &Design, images: &Images) -> Container {
    let user = &design.pod.server;
    let instance = format!("{}/pgops-instance", layout::TOOLS_DIR);
    Container {
        name: names::CONTAINER_POSTGRES.to_owned(),
        image: Some(design.image.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(words(&[&instance, "run"])),
        env: Some(environment(database, design)),
        env_from: user.env_from.clone(),
        resources: user.resources.clone(),
        ports: Some(vec![
            port(names::CONTAINER_POSTGRES, names::POSTGRES_PORT),
            port("instance", names::INSTANCE_PORT),
        ]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/ready".to_owned()),
                port: IntOrString::Int(names::INSTANCE_PORT.into()),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(1),
            timeout_seconds: Some(3),
            failure_threshold: Some(3),
            ..Probe::default()
        }),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        volume_mounts: Some(mounts(database)),
        ..Container::default()
    }
}

fn environment(database: &Postgres, design: &Design) -> Vec<EnvVar> {
    let mode = database.spec.client_auth_mode.map(|mode| match mode {
        ClientAuthMode::Md5 => "md5",
        ClientAuthMode::Scram => "scram",
        ClientAuthMode::Cert => "cert",
    });
    let own = [
        ("PGDATA", layout::pgdata(design.major)),
        ("PGOPS_NAMESPACE", database.namespace().unwrap_or_default()),
        ("PGOPS_DATABASE", database.name_any()),
        ("PGOPS_GRACE_SECONDS", GRACE_SECONDS.to_string()),
    ];
    let mode = mode.map(|mode| ("PGOPS_CLIENT_AUTH_MODE", mode.to_owned()));
    own.into_iter()
        .chain(mode)
        .map(|(name, value)| EnvVar { name: name.to_owned(), value: Some(value), value_from: None })
        .chain(design.pod.server.env().cloned())
        .collect()
}

fn mounts(database: &Postgres) -> Vec<VolumeMount> {
    let mut mounts = vec![
        mount(names::VOLUME_DATA, layout::VOLUME_ROOT),
        mount(VOLUME_TOOLS, "/pgops"),
        // initdb refuses a user without a name, and an image has names for its own users only.
        VolumeMount {
            sub_path: Some("etc/passwd".to_owned()),
            read_only: Some(true),
            ..mount(VOLUME_TOOLS, "/etc/passwd")
        },
        mount("socket", layout::SOCKET_DIR),
        mount("tmp", "/tmp"),
        mount("shm", "/dev/shm"),
        VolumeMount { read_only: Some(true), ..mount("auth", layout::AUTH_DIR) },
    ];
    if config_secret(database).is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount("config", layout::CONFIG_DIR) });
    }
    mounts
}

fn volumes(database: &Postgres, storage: &Storage) -> Vec<Volume> {
    let auth = SecretVolumeSource {
        secret_name: Some(database.auth_secret()),
        default_mode: Some(SECRET_MODE),
        items: Some(["username", "password"].map(item).into()),
        optional: None,
    };
    let mut volumes = vec![
        empty(VOLUME_TOOLS, EmptyDirVolumeSource::default()),
        empty("socket", EmptyDirVolumeSource::default()),
        empty("tmp", EmptyDirVolumeSource::default()),
        // The container runtime's default is 64 MB, which is too small for a parallel query.
        empty("shm", EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: None }),
        Volume { name: "auth".to_owned(), secret: Some(auth), ..Volume::default() },
    ];
    if let Some(name) = config_secret(database) {
        // Required: a server without the requested settings is worse than one that waits.
        let secret = SecretVolumeSource {
            secret_name: Some(name),
            default_mode: Some(SECRET_MODE),
            items: Some(vec![item(names::USER_CONF)]),
            optional: None,
        };
        volumes.push(Volume { name: "config".to_owned(), secret: Some(secret), ..Volume::default() });
    }
    if let Storage::Ephemeral(claim) = storage {
        let requests = claim.as_ref().and_then(|claim| claim.resources.as_ref()?.requests.as_ref());
        let size_limit = requests.and_then(|requests| requests.get("storage").cloned());
        volumes.push(empty(names::VOLUME_DATA, EmptyDirVolumeSource { medium: None, size_limit }));
    }
    volumes
}

fn config_secret(database: &Postgres) -> Option<String> {
    database.spec.config_secret.as_ref().map(|secret| secret.name.clone()).filter(|name| !name.is_empty())
}

fn claims(database: &str, storage: &Storage) -> Option<Vec<PersistentVolumeClaim>> {
    let spec = match storage {
        Storage::Ephemeral(_) => return None,
        Storage::Existing(claims) => return Some(claims.clone()),
        Storage::Claim(spec) => spec.as_ref().clone(),
    };
    let access_modes = spec.access_modes.clone().unwrap_or_else(|| vec!["ReadWriteOnce".to_owned()]);
    Some(vec![PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(names::VOLUME_DATA.to_owned()),
            // The claims are found by these labels when the deletion policy removes them.
            labels: Some(labels(database)),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec { access_modes: Some(access_modes), ..spec }),
        status: None,
    }])
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { add: None, drop: Some(vec!["ALL".to_owned()]) }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn empty(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

fn item(key: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }
}

fn port(name: &str, port: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: port.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}
