//! Paths inside images and pods, and on the volume of a database:
//!
//! ```text
//! /var/pv/                     the volume's root, mounted once, so that links and renames work
//!   13/data  17/data           a data directory for each major version
//!   .pgops/active              the major version that serves: one line, replaced atomically
//!   .pgops/interlock           flock(2), held while any PostgreSQL program may touch the data
//!   .pgops/requests/<uid>/     the journal and the work files of one upgrade
//!   .pgops/retired/<major>     an upgrade has replaced this data: one line, the time when it may be removed
//! ```

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::PodSpec;

use crate::names::{CONTAINER_POSTGRES, VOLUME_CONFIG};

/// Directory that the worker's containers `runner` and `programs` share: the agent's socket, and that of the proxy.
pub const PROGRAMS_DIR: &str = "/run/pgops/programs";
/// Directory that the worker's containers `runner` and `rehearsal` share: the sockets of agent and scratch server.
pub const REHEARSAL_DIR: &str = "/run/pgops/rehearsal";
/// Directory of the dumps, which `programs` writes and `rehearsal` reads.
pub const DUMPS_DIR: &str = "/run/pgops/dumps";
/// Name of an agent's socket.
pub const AGENT_SOCKET: &str = "agent.sock";
/// Mount point of a database's volume, in the database's pod and in the worker.
pub const VOLUME_ROOT: &str = "/var/pv";
/// The directory that belongs to pgops on the volume.
pub const STATE_DIR: &str = "/var/pv/.pgops";
/// The same below the volume's root: the worker's container `programs`, which runs code of users, mounts it read-only.
pub const STATE_SUB_PATH: &str = ".pgops";
/// One line: the major version whose data directory serves. A major upgrade switches over by replacing it.
pub const ACTIVE_FILE: &str = "/var/pv/.pgops/active";
/// A file for each major version whose data an upgrade has replaced, with the time (RFC 3339) from which on the
/// new version's instance removes it.
pub const RETIRED_DIR: &str = "/var/pv/.pgops/retired";
/// Held with flock(2) as long as any `PostgreSQL` program may touch the data.
pub const INTERLOCK_FILE: &str = "/var/pv/.pgops/interlock";

/// Directory into which init containers copy pgops' static binaries.
pub const TOOLS_DIR: &str = "/pgops/bin";
/// Directory of a database's pod with files that live as long as the container.
pub const RUN_DIR: &str = "/pgops/run";
/// Directory of the worker in which the old programs are staged.
pub const OLD_DIR: &str = "/pgops/old";
/// Directory with the generated `passwd`, so that any uid has a user name, which initdb requires.
pub const PASSWD_DIR: &str = "/pgops/etc";
/// Mount point of the Secret with the superuser's `username` and `password`.
pub const AUTH_DIR: &str = "/etc/pgops/auth";
/// Mount point of the password that the server is to get, and of its identification.
pub const NEXT_AUTH_DIR: &str = "/etc/pgops/auth-next";
/// Mount point of the user's settings (`user.conf`).
pub const CONFIG_DIR: &str = "/etc/config";
/// Mount point of the settings that are in the `Postgres` itself, and of those that are to be checked.
pub const SETTINGS_DIR: &str = "/etc/pgops/settings";
/// Mount point of the server's certificate, see [`crate::tls`]. In the pod of a database with its private key.
pub const TLS_DIR: &str = "/etc/pgops/tls";
/// Mount point of the superuser's certificate and key, in the worker.
pub const CLIENT_TLS_DIR: &str = "/etc/pgops/client-tls";
/// Directory of the Patroni bundle, in the pod of a database with standbys.
pub const HA_DIR: &str = "/pgops/ha";
/// Mount point of the Secret with what the servers of a database know each other by.
pub const HA_SECRET_DIR: &str = "/etc/pgops-ha";
/// Directory of the server's unix socket.
pub const SOCKET_DIR: &str = "/var/run/postgresql";

/// The data directory of a major version.
#[must_use]
pub fn pgdata(major: u32) -> String {
    format!("{VOLUME_ROOT}/{major}/data")
}

/// The major version that the path of a data directory names.
#[must_use]
pub fn major_of_pgdata(pgdata: &str) -> Option<u32> {
    pgdata.strip_prefix(VOLUME_ROOT)?.split('/').nth(1)?.parse().ok()
}

/// The directory of one upgrade on the volume.
#[must_use]
pub fn request_dir(uid: &str) -> PathBuf {
    Path::new(STATE_DIR).join("requests").join(uid)
}

/// Major version of the data directory that a database's pod uses, from its `PGDATA`.
#[must_use]
pub fn pgdata_major(pod: &PodSpec) -> Option<u32> {
    let server = pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)?;
    let pgdata = server.env.as_ref()?.iter().find(|variable| variable.name == "PGDATA")?.value.as_ref()?;
    major_of_pgdata(pgdata)
}

/// Name of the Secret with settings that a database's pod mounts.
#[must_use]
pub fn mounted_settings_secret(pod: &PodSpec) -> Option<&str> {
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == VOLUME_CONFIG)?;
    volume.secret.as_ref()?.secret_name.as_deref()
}

/// Directories that may hold `PostgreSQL`'s programs in an image with this `PATH`, most specific first: those that packages
/// reserve for one major version (of Debian and the PGDG, Red Hat, Alpine, SUSE), the image's own `PATH`, and those of any
/// version (Bitnami, the Docker library's own build, PostgreSQL's default, Fedora).
#[must_use]
pub fn bindir_candidates(major: u32, path: Option<&OsStr>) -> Vec<PathBuf> {
    let of_one_version = [
        format!("/usr/lib/postgresql/{major}/bin"),
        format!("/usr/pgsql-{major}/bin"),
        format!("/usr/libexec/postgresql{major}"),
        format!("/usr/lib/postgresql{major}/bin"),
    ];
    let of_any_version =
        ["/opt/bitnami/postgresql/bin", "/usr/local/bin", "/usr/local/pgsql/bin", "/usr/bin"];
    // An empty entry is the working directory, which is not part of the image.
    let of_image =
        path.into_iter().flat_map(std::env::split_paths).filter(|directory| directory.is_absolute());
    let mut candidates = Vec::new();
    for directory in
        of_one_version.map(PathBuf::from).into_iter().chain(of_image).chain(of_any_version.map(PathBuf::from))
    {
        if !candidates.contains(&directory) {
            candidates.push(directory);
        }
    }
    candidates
}

/// A `passwd` file in which the pod's user is named `postgres`, whatever its uid.
///
/// The home directory is not on the volume: programs take configuration from it (`.kube/config`, `.pgpass`, `.psqlrc`),
/// and a worker that mounts the volume must not take it from a file on it.
#[must_use]
pub fn passwd(user: u32, group: u32) -> String {
    format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         postgres:x:{user}:{group}:PostgreSQL:/tmp:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn home_directory_is_not_on_the_volume() {
        let text = passwd(999, 999);
        let homes: Vec<_> = text.lines().filter_map(|line| line.split(':').nth(5)).collect();
        assert_eq!(homes, ["/root", "/tmp", "/"]);
        assert!(!text.contains(VOLUME_ROOT), "{text}");
    }

    #[test]
    fn state_directory_is_at_its_sub_path() {
        assert_eq!(Path::new(VOLUME_ROOT).join(STATE_SUB_PATH), Path::new(STATE_DIR));
    }

    #[test]
    fn data_directory_names_its_major_version() {
        assert_eq!(major_of_pgdata(&pgdata(17)), Some(17));
        assert_eq!(major_of_pgdata("/var/pv/data"), None);
        assert_eq!(major_of_pgdata("/var/lib/postgresql/17/data"), None);
    }

    #[test]
    fn secret_with_settings_is_found_by_its_volume() {
        let mut pod = PodSpec::default();
        assert_eq!(mounted_settings_secret(&pod), None);
        let volumes = [("auth", "orders-auth"), (VOLUME_CONFIG, "mine")];
        let volume =
            |(name, secret): (&str, &str)| json!({ "name": name, "secret": { "secretName": secret } });
        pod.volumes = volumes.map(|it| serde_json::from_value(volume(it)).ok()).into_iter().collect();
        assert_eq!(mounted_settings_secret(&pod), Some("mine"));
    }

    #[test]
    fn programs_are_searched_in_the_images_path_after_the_directories_of_their_version() {
        let path = "/usr/local/sbin:/usr/local/bin::relative:/opt/custom/pgsql/bin:/usr/bin";
        let found = bindir_candidates(17, Some(OsStr::new(path)));
        let found: Vec<_> = found.iter().filter_map(|directory| directory.to_str()).collect();
        let expected = [
            "/usr/lib/postgresql/17/bin",
            "/usr/pgsql-17/bin",
            "/usr/libexec/postgresql17",
            "/usr/lib/postgresql17/bin",
            "/usr/local/sbin",
            "/usr/local/bin",
            "/opt/custom/pgsql/bin",
            "/usr/bin",
            "/opt/bitnami/postgresql/bin",
            "/usr/local/pgsql/bin",
        ];
        assert_eq!(found, expected);
        assert!(bindir_candidates(17, None).contains(&PathBuf::from("/opt/bitnami/postgresql/bin")));
    }
}
