//! The parts of a pod that only a database with standbys has: the Patroni bundle, what its servers know each other by, and the proxy
//! through which they reach the API server.

use k8s_openapi::api::core::v1::{
    Affinity, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, Lifecycle, LifecycleHandler,
    ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity, SecretVolumeSource, SleepAction, Volume,
    VolumeMount, WeightedPodAffinityTerm,
};
use kube::ResourceExt;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use pgops_api::{Postgres, layout, names};
use pgops_kube::identity::{IDENTITY_DIR, VOLUME_IDENTITY, identity_volume};

use super::super::containers::{restricted, strings};
use super::super::images::Images;
use super::super::metadata::selector;
use super::super::volumes::{SECRET_MODE, empty, item, mount};
use crate::design::{Design, StandbyDesign};

/// Program of the image with the Patroni bundle.
const PROXY: &str = "/pgops-patroni-proxy";
/// Volume with the Patroni bundle. Of its own, since the server must not write to it.
const VOLUME_BUNDLE: &str = "patroni";
/// Volume with passwords and certificates of the servers.
const VOLUME_SECRET: &str = "ha";
/// Seconds between the deletion of a pod and the stop of its server.
const DRAIN_SECONDS: i64 = 3;
const NODE: &str = "kubernetes.io/hostname";

/// The init container that copies the bundle, and the proxy. That is an init container which keeps running: it runs before the server
/// starts and until it has ended, since Patroni gives its lock back last.
pub fn init_containers(
    database: &Postgres,
    design: &Design,
    images: &Images,
    standbys: &StandbyDesign,
) -> [Container; 2] {
    let container = |name: &str, command: &[&str]| Container {
        name: name.to_owned(),
        image: Some(standbys.image.clone()),
        image_pull_policy: Some(images.pull_policy.clone()),
        command: Some(strings(command)),
        resources: Some(images.install_resources.clone().into()),
        security_context: Some(restricted()),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    };
    let bundle = Container {
        volume_mounts: Some(vec![mount(VOLUME_BUNDLE, layout::HA_DIR)]),
        ..container(names::CONTAINER_PATRONI, &[PROXY, "install", "--to", layout::HA_DIR])
    };
    let database_variables = [
        ("PGOPS_NAMESPACE", database.namespace().unwrap_or_default()),
        ("PGOPS_DATABASE", database.name_any()),
    ];
    let database_variables = database_variables.map(|(name, value)| variable(name, value));
    let proxy = Container {
        restart_policy: Some("Always".to_owned()),
        env: Some(database_variables.into_iter().chain(environment(database, design)).collect()),
        volume_mounts: Some(vec![read_only(mount(VOLUME_IDENTITY, IDENTITY_DIR))]),
        ..container(names::CONTAINER_PATRONI_PROXY, &[PROXY, "serve"])
    };
    [bundle, proxy]
}

/// Which of the database's servers this is.
pub fn environment(database: &Postgres, design: &Design) -> [EnvVar; 2] {
    let own_name = EnvVarSource {
        field_ref: Some(ObjectFieldSelector { api_version: None, field_path: "metadata.name".to_owned() }),
        ..EnvVarSource::default()
    };
    [
        variable("PGOPS_HA_SCOPE", design.scope(database)),
        EnvVar { name: "PGOPS_POD_NAME".to_owned(), value: None, value_from: Some(own_name) },
    ]
}

/// A server that is stopped serves on until no Service leads new clients to it: nodes learn of that about once a second.
pub fn lifecycle() -> Lifecycle {
    let sleep = SleepAction { seconds: DRAIN_SECONDS };
    Lifecycle {
        pre_stop: Some(LifecycleHandler { sleep: Some(sleep), ..LifecycleHandler::default() }),
        ..Lifecycle::default()
    }
}

/// Mounts of the server.
pub fn server_mounts() -> [VolumeMount; 2] {
    [(VOLUME_BUNDLE, layout::HA_DIR), (VOLUME_SECRET, layout::HA_SECRET_DIR)]
        .map(|(volume, path)| read_only(mount(volume, path)))
}

/// The volumes of these mounts, and that of the proxy.
pub fn volumes(database: &Postgres) -> [Volume; 3] {
    let keys = [
        names::REPLICATION_PASSWORD,
        names::REWIND_PASSWORD,
        CERTIFICATE_KEY,
        PRIVATE_KEY_KEY,
        AUTHORITY_KEY,
    ];
    let secret = SecretVolumeSource {
        secret_name: Some(names::ha(&database.name_any())),
        default_mode: Some(SECRET_MODE),
        items: Some(keys.map(item).into()),
        optional: None,
    };
    [
        empty(VOLUME_BUNDLE, EmptyDirVolumeSource::default()),
        Volume { name: VOLUME_SECRET.to_owned(), secret: Some(secret), ..Volume::default() },
        identity_volume(),
    ]
}

/// Servers of a database run on different nodes where that is possible, unless the user has said where.
pub fn affinity(database: &Postgres, user: Option<Affinity>) -> Affinity {
    let away = || PodAntiAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
            weight: 100,
            pod_affinity_term: PodAffinityTerm {
                label_selector: Some(selector(database)),
                topology_key: NODE.to_owned(),
                ..PodAffinityTerm::default()
            },
        }]),
        ..PodAntiAffinity::default()
    };
    let user = user.unwrap_or_default();
    Affinity { pod_anti_affinity: user.pod_anti_affinity.or_else(|| Some(away())), ..user }
}

fn variable(name: &str, value: String) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value), value_from: None }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}
