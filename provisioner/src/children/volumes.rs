//! The volumes of a database's pod, and where its containers mount them.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, KeyToPath, ProjectedVolumeSource, SecretVolumeSource,
    Volume, VolumeMount,
};
use kube::ResourceExt;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, CertificateAlias, PRIVATE_KEY_KEY};
use pgops_api::{Postgres, layout, names};
use pgops_kube::secret_projection;

use crate::design::Storage;

/// Read by the owner and by the pod's group.
pub const SECRET_MODE: i32 = 0o440;
/// Volume with pgops' programs, the generated passwd file and files that live as long as a container.
const VOLUME_TOOLS: &str = "pgops";
/// Volume with the server's certificate.
const VOLUME_TLS: &str = "tls";

/// Mounts of the init container.
pub fn install_mounts() -> Vec<VolumeMount> {
    vec![mount(VOLUME_TOOLS, "/pgops")]
}

/// Mounts of the server.
pub fn server_mounts(database: &Postgres, settings_secret: Option<&str>) -> Vec<VolumeMount> {
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
        VolumeMount { read_only: Some(true), ..mount("auth-next", layout::NEXT_AUTH_DIR) },
    ];
    mounts.extend(settings_mounts(settings_secret));
    if database.server_tls().is_some() {
        mounts.push(VolumeMount { read_only: Some(true), ..mount(VOLUME_TLS, layout::TLS_DIR) });
    }
    mounts
}

/// Mounts of a container that only checks settings.
pub fn check_mounts(settings_secret: &str) -> Vec<VolumeMount> {
    let mut mounts = vec![mount(VOLUME_TOOLS, "/pgops"), mount("tmp", "/tmp")];
    mounts.extend(settings_mounts(Some(settings_secret)));
    mounts
}

/// Where the settings of the user are: those in the object itself, and those in a Secret.
fn settings_mounts(secret: Option<&str>) -> impl Iterator<Item = VolumeMount> {
    let inline = mount("settings", layout::SETTINGS_DIR);
    let of_secret = secret.map(|_| mount(names::VOLUME_CONFIG, layout::CONFIG_DIR));
    let mounts = [inline].into_iter().chain(of_secret);
    mounts.map(|mount| VolumeMount { read_only: Some(true), ..mount })
}

/// The volumes of a pod that only checks settings.
pub fn check_volumes(database: &Postgres, settings_secret: &str) -> Vec<Volume> {
    let mut volumes = vec![
        empty(VOLUME_TOOLS, EmptyDirVolumeSource::default()),
        empty("tmp", EmptyDirVolumeSource::default()),
    ];
    volumes.extend(settings_volumes(database, Some(settings_secret)));
    volumes
}

fn settings_volumes(database: &Postgres, secret: Option<&str>) -> impl Iterator<Item = Volume> {
    // Whole: files that come and go must not need another pod.
    let inline = ConfigMapVolumeSource {
        name: names::settings(&database.name_any()),
        optional: Some(true),
        default_mode: Some(SECRET_MODE),
        items: None,
    };
    let inline = Volume { name: "settings".to_owned(), config_map: Some(inline), ..Volume::default() };
    // Required: a server without the requested settings is worse than one that waits.
    let of_secret = secret.map(|name| SecretVolumeSource {
        secret_name: Some(name.to_owned()),
        default_mode: Some(SECRET_MODE),
        items: Some(vec![item(names::USER_CONF)]),
        optional: None,
    });
    let of_secret = of_secret.map(|secret| Volume {
        name: names::VOLUME_CONFIG.to_owned(),
        secret: Some(secret),
        ..Volume::default()
    });
    [inline].into_iter().chain(of_secret)
}

pub fn volumes(database: &Postgres, settings_secret: Option<&str>, storage: &Storage) -> Vec<Volume> {
    let auth = SecretVolumeSource {
        secret_name: Some(database.auth_secret()),
        default_mode: Some(SECRET_MODE),
        items: Some(["username", "password"].map(item).into()),
        optional: None,
    };
    // A volume of its own: these keys exist only while the password changes, and the others are required.
    let next = SecretVolumeSource {
        secret_name: Some(database.auth_secret()),
        default_mode: Some(SECRET_MODE),
        items: Some([names::NEXT_PASSWORD, names::NEXT_PASSWORD_ID].map(item).into()),
        optional: Some(true),
    };
    let mut volumes = vec![
        empty(VOLUME_TOOLS, EmptyDirVolumeSource::default()),
        empty("socket", EmptyDirVolumeSource::default()),
        empty("tmp", EmptyDirVolumeSource::default()),
        // The container runtime's default is 64 MB, which is too small for a parallel query.
        empty("shm", EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit: None }),
        Volume { name: "auth".to_owned(), secret: Some(auth), ..Volume::default() },
        Volume { name: "auth-next".to_owned(), secret: Some(next), ..Volume::default() },
    ];
    volumes.extend(settings_volumes(database, settings_secret));
    volumes.extend(certificate(database));
    if let Storage::Ephemeral(claim) = storage {
        let requests = claim.as_ref().and_then(|claim| claim.resources.as_ref()?.requests.as_ref());
        let size_limit = requests.and_then(|requests| requests.get("storage").cloned());
        volumes.push(empty(names::VOLUME_DATA, EmptyDirVolumeSource { medium: None, size_limit }));
    }
    volumes
}

/// The server's certificate and key, and the certificates of the authority that signs those of clients. In one volume, which
/// the kubelet replaces as a whole.
fn certificate(database: &Postgres) -> Option<Volume> {
    let secret = database.certificate(CertificateAlias::Server)?.secret;
    let sources = ProjectedVolumeSource {
        // PostgreSQL accepts a key that its group may read if root owns the file.
        default_mode: Some(SECRET_MODE),
        sources: Some(vec![
            // Required: a server without the requested encryption is worse than one that waits.
            secret_projection(&secret, &[CERTIFICATE_KEY, PRIVATE_KEY_KEY], false),
            // Public authorities give none; the instance requires it where clients have certificates.
            secret_projection(&secret, &[AUTHORITY_KEY], true),
        ]),
    };
    Some(Volume { name: VOLUME_TLS.to_owned(), projected: Some(sources), ..Volume::default() })
}

pub fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

pub fn empty(name: &str, source: EmptyDirVolumeSource) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(source), ..Volume::default() }
}

pub fn item(key: &str) -> KeyToPath {
    KeyToPath { key: key.to_owned(), path: key.to_owned(), mode: None }
}
