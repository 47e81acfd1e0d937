//! The volumes of a worker's pod, and where its containers mount them.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, ProjectedVolumeSource,
    SecretVolumeSource, Volume, VolumeMount, VolumeProjection,
};
use pgops_api::plan::UpgradeKind;
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use pgops_api::{layout, names};
use pgops_kube::identity::{IDENTITY_DIR, VOLUME_IDENTITY, identity_volume};
use pgops_kube::secret_projection;

use super::{CONTAINER_STAGE, DatabaseCertificates, Worker};

/// pgops-runner and the passwd file.
const VOLUME_TOOLS: &str = "pgops";
/// The old version's programs.
const VOLUME_OLD: &str = "old";
/// What `runner` and `programs` share.
const VOLUME_PROGRAMS: &str = "programs";
/// What `runner` and `rehearsal` share.
const VOLUME_REHEARSAL: &str = "rehearsal";
/// What `programs` writes and `rehearsal` reads.
const VOLUME_DUMPS: &str = "dumps";
const VOLUME_RUN: &str = "run";
pub(super) const VOLUME_AUTH: &str = "auth";
pub(super) const VOLUME_TLS: &str = "tls";
pub(super) const VOLUME_CLIENT_TLS: &str = "client-tls";
const VOLUME_CONFIG: &str = "config";
/// The settings that are in the Postgres itself.
const VOLUME_SETTINGS: &str = "settings";

impl Worker {
    pub(super) fn volumes(&self) -> Vec<Volume> {
        let mut directories =
            vec![VOLUME_TOOLS.to_owned(), VOLUME_PROGRAMS.to_owned(), VOLUME_RUN.to_owned()];
        let mut images = vec![names::CONTAINER_PROGRAMS];
        if self.kind == UpgradeKind::Major {
            directories.extend([VOLUME_OLD, VOLUME_REHEARSAL, VOLUME_DUMPS].map(ToOwned::to_owned));
            directories.push(tmp_volume(CONTAINER_STAGE));
            images.push(names::CONTAINER_REHEARSAL);
        }
        directories.extend(images.iter().map(|container| tmp_volume(container)));
        let mut volumes: Vec<_> = directories.iter().map(|name| empty(name)).collect();
        volumes.extend(images.into_iter().map(shared_memory));
        volumes.push(secret(VOLUME_AUTH, &self.auth_secret));
        volumes.push(identity_volume());
        volumes.extend(self.config_secret.as_ref().map(|name| secret(VOLUME_CONFIG, name)));
        volumes.push(settings(&self.plan.database));
        volumes.extend(self.tls.iter().flat_map(DatabaseCertificates::volumes));
        if self.kind == UpgradeKind::Major {
            volumes.push(Volume {
                name: names::VOLUME_DATA.to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: names::claim(&self.plan.database, 0),
                    read_only: None,
                }),
                ..Volume::default()
            });
        }
        volumes
    }

    /// No program of another image, and nothing that one may have changed.
    pub(super) fn runner_mounts(&self) -> Vec<VolumeMount> {
        let mut mounts = vec![
            mount(VOLUME_PROGRAMS, layout::PROGRAMS_DIR),
            read_only(mount(VOLUME_AUTH, layout::AUTH_DIR)),
            read_only(mount(VOLUME_IDENTITY, IDENTITY_DIR)),
        ];
        if let Some(tls) = &self.tls {
            mounts.push(read_only(mount(VOLUME_TLS, layout::TLS_DIR)));
            mounts.extend(
                tls.client.as_ref().map(|_| read_only(mount(VOLUME_CLIENT_TLS, layout::CLIENT_TLS_DIR))),
            );
        }
        if self.kind == UpgradeKind::Major {
            mounts.extend([
                mount(VOLUME_REHEARSAL, layout::REHEARSAL_DIR),
                mount(names::VOLUME_DATA, layout::VOLUME_ROOT),
            ]);
        }
        mounts
    }

    /// The volume, and the user's settings, but neither a token nor a password. What pgops knows of the upgrade is on the volume
    /// too, and code of users that `pg_upgrade` runs must not change it: every instance has created its directory.
    pub(super) fn programs_mounts(&self) -> Vec<VolumeMount> {
        let mut mounts = image_mounts(names::CONTAINER_PROGRAMS);
        mounts.extend([
            shared_memory_mount(names::CONTAINER_PROGRAMS),
            mount(VOLUME_PROGRAMS, layout::PROGRAMS_DIR),
            mount(VOLUME_RUN, layout::SOCKET_DIR),
        ]);
        mounts
            .extend(self.config_secret.as_ref().map(|_| read_only(mount(VOLUME_CONFIG, layout::CONFIG_DIR))));
        mounts.push(read_only(mount(VOLUME_SETTINGS, layout::SETTINGS_DIR)));
        if self.kind == UpgradeKind::Major {
            mounts.extend([
                read_only(mount(VOLUME_OLD, layout::OLD_DIR)),
                mount(VOLUME_DUMPS, layout::DUMPS_DIR),
                mount(names::VOLUME_DATA, layout::VOLUME_ROOT),
                VolumeMount {
                    sub_path: Some(layout::STATE_SUB_PATH.to_owned()),
                    ..read_only(mount(names::VOLUME_DATA, layout::STATE_DIR))
                },
            ]);
        }
        mounts
    }
}

impl DatabaseCertificates {
    /// The server's certificate without its key, to know the server by it, and the superuser's own with its key.
    fn volumes(&self) -> Vec<Volume> {
        let server = [
            // Required: the next pod of the database cannot start without it either.
            secret_projection(&self.server, &[CERTIFICATE_KEY], false),
            secret_projection(&self.server, &[AUTHORITY_KEY], true),
        ];
        let mut volumes = vec![projected(VOLUME_TLS, server.into())];
        volumes.extend(self.client.as_ref().map(|client| {
            let client = secret_projection(client, &[CERTIFICATE_KEY, PRIVATE_KEY_KEY], false);
            projected(VOLUME_CLIENT_TLS, vec![client])
        }));
        volumes
    }
}

/// Where code of users runs as superuser: nothing but the dumps, which it cannot change.
pub(super) fn rehearsal_mounts() -> Vec<VolumeMount> {
    let mut mounts = image_mounts(names::CONTAINER_REHEARSAL);
    mounts.extend([
        shared_memory_mount(names::CONTAINER_REHEARSAL),
        mount(VOLUME_REHEARSAL, layout::REHEARSAL_DIR),
        read_only(mount(VOLUME_DUMPS, layout::DUMPS_DIR)),
    ]);
    mounts
}

/// The old image writes only where the old programs will be.
pub(super) fn stage_mounts() -> Vec<VolumeMount> {
    let mut mounts = image_mounts(CONTAINER_STAGE);
    mounts.push(mount(VOLUME_OLD, layout::OLD_DIR));
    mounts
}

/// `install` fills the volume that all containers of other images mount without a right to write.
pub(super) fn install_mounts() -> Vec<VolumeMount> {
    vec![mount(VOLUME_TOOLS, "/pgops")]
}

/// What each container of a database image needs: pgops-runner, a passwd file and a directory for temporary files, which
/// it shares with no other container.
fn image_mounts(container: &str) -> Vec<VolumeMount> {
    let tools = |path: &str, mount_path: &str| VolumeMount {
        sub_path: Some(path.to_owned()),
        ..read_only(mount(VOLUME_TOOLS, mount_path))
    };
    vec![
        tools("bin", layout::TOOLS_DIR),
        tools("etc/passwd", "/etc/passwd"),
        mount(&tmp_volume(container), "/tmp"),
    ]
}

fn tmp_volume(container: &str) -> String {
    format!("tmp-{container}")
}

fn shared_memory_volume(container: &str) -> String {
    format!("shm-{container}")
}

fn shared_memory(container: &str) -> Volume {
    empty_dir(&shared_memory_volume(container), Some("Memory"))
}

fn shared_memory_mount(container: &str) -> VolumeMount {
    mount(&shared_memory_volume(container), "/dev/shm")
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}

fn empty(name: &str) -> Volume {
    empty_dir(name, None)
}

fn empty_dir(name: &str, medium: Option<&str>) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(Into::into), size_limit: None }),
        ..Volume::default()
    }
}

/// A database of an earlier release has none.
fn settings(database: &str) -> Volume {
    let name = names::settings(database);
    Volume {
        name: VOLUME_SETTINGS.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name, optional: Some(true), ..Default::default() }),
        ..Volume::default()
    }
}

fn projected(name: &str, sources: Vec<VolumeProjection>) -> Volume {
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource { default_mode: None, sources: Some(sources) }),
        ..Volume::default()
    }
}

fn secret(name: &str, secret: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource { secret_name: Some(secret.to_owned()), ..Default::default() }),
        ..Volume::default()
    }
}
