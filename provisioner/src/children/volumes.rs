//! The volumes of a database's pod, and where its containers mount them.

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, KeyToPath, SecretVolumeSource, Volume, VolumeMount};
use pgops_api::{Postgres, layout, names};

use crate::design::Storage;

/// Read by the owner and by the pod's group.
const SECRET_MODE: i32 = 0o440;
/// Volume with pgops' programs, the generated passwd file and files that live as long as a container.
const VOLUME_TOOLS: &str = "pgops";

/// Mounts of the init container.
pub fn install_mounts() -> Vec<VolumeMount> {
    vec![mount(VOLUME_TOOLS, "/pgops")]
}

/// Mounts of the server.
pub fn server_mounts(database: &Postgres) -> Vec<VolumeMount> {
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

pub fn volumes(database: &Postgres, storage: &Storage) -> Vec<Volume> {
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

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn empty(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

fn item(key: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }
}
