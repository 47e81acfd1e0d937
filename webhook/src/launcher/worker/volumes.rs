//! The volumes of a worker's pod, and where its containers mount them.

use k8s_openapi::api::core::v1::{
    EmptyDirVolumeSource, PersistentVolumeClaimVolumeSource, SecretVolumeSource, Volume, VolumeMount,
};
use pgops_api::plan::UpgradeKind;
use pgops_api::{layout, names};

use super::Worker;
use super::identity::{IDENTITY_DIR, VOLUME_IDENTITY, identity_volume};

const VOLUME_TOOLS: &str = "pgops";
const VOLUME_TMP: &str = "tmp";
const VOLUME_RUN: &str = "run";
const VOLUME_SHM: &str = "shm";
pub(super) const VOLUME_AUTH: &str = "auth";
const VOLUME_CONFIG: &str = "config";

impl Worker {
    pub(super) fn volumes(&self) -> Vec<Volume> {
        let mut volumes = vec![
            empty(VOLUME_TOOLS, None),
            empty(VOLUME_TMP, None),
            empty(VOLUME_RUN, None),
            empty(VOLUME_SHM, Some("Memory")),
            secret(VOLUME_AUTH, &self.auth_secret),
            identity_volume(),
        ];
        volumes.extend(self.config_secret.as_ref().map(|name| secret(VOLUME_CONFIG, name)));
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

    pub(super) fn runner_mounts(&self) -> Vec<VolumeMount> {
        let mut mounts = vec![
            tools_mount(),
            tmp_mount(),
            mount(VOLUME_RUN, layout::SOCKET_DIR),
            mount(VOLUME_SHM, "/dev/shm"),
            read_only(mount(VOLUME_AUTH, layout::AUTH_DIR)),
            read_only(mount(VOLUME_IDENTITY, IDENTITY_DIR)),
            passwd_mount(),
        ];
        mounts
            .extend(self.config_secret.as_ref().map(|_| read_only(mount(VOLUME_CONFIG, layout::CONFIG_DIR))));
        if self.kind == UpgradeKind::Major {
            mounts.push(mount(names::VOLUME_DATA, layout::VOLUME_ROOT));
        }
        mounts
    }
}

/// Where pgops-runner and the old programs are.
pub(super) fn tools_mount() -> VolumeMount {
    mount(VOLUME_TOOLS, "/pgops")
}

pub(super) fn tmp_mount() -> VolumeMount {
    mount(VOLUME_TMP, "/tmp")
}

/// The passwd file that `install` wrote.
pub(super) fn passwd_mount() -> VolumeMount {
    VolumeMount { sub_path: Some("etc/passwd".to_owned()), ..read_only(mount(VOLUME_TOOLS, "/etc/passwd")) }
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}

fn empty(name: &str, medium: Option<&str>) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(Into::into), size_limit: None }),
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
