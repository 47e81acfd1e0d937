//! Paths on the volume of a database, and inside `PostgreSQL` images.
//!
//! ```text
//! /var/pv/                     root of the volume, a single mount, so that links and renames work
//!   13/data  17/data           a data directory per major version
//!   .pgops/active              the active major version: one line, replaced atomically
//!   .pgops/interlock           flock(2), held while a PostgreSQL program may touch the data
//!   .pgops/requests/<uid>/     journal and work files of one upgrade
//!   .pgops/retired/<major>     data replaced by an upgrade: one line, the time from which it may be deleted
//! ```

use std::path::PathBuf;

use k8s_openapi::api::core::v1::PodSpec;

use crate::names::CONTAINER_POSTGRES;

/// Mount point of a database's volume, in the database's pod and in the worker.
pub const VOLUME_ROOT: &str = "/var/pv";
/// Directory of pgops on the volume.
pub const STATE_DIR: &str = "/var/pv/.pgops";
/// One line: the active major version, whose data directory serves. Replacing it is the switchover of a major
/// upgrade.
pub const ACTIVE_FILE: &str = "/var/pv/.pgops/active";
/// A file per major version whose data an upgrade has replaced, with the time (RFC 3339) from which the new
/// instance deletes it.
pub const RETIRED_DIR: &str = "/var/pv/.pgops/retired";
/// The interlock: held with flock(2) while any `PostgreSQL` program may touch the data.
pub const INTERLOCK_FILE: &str = "/var/pv/.pgops/interlock";
/// Directory into which init containers copy pgops' static binaries.
pub const TOOLS_DIR: &str = "/pgops/bin";
/// Directory of the worker in which the old programs are staged.
pub const OLD_DIR: &str = "/pgops/old";
/// Directory with the generated `passwd`, so that any uid has a user name, which initdb requires.
pub const PASSWD_DIR: &str = "/pgops/etc";
/// Mount point of the Secret with the superuser's `username` and `password`.
pub const AUTH_DIR: &str = "/etc/pgops/auth";
/// Mount point of the user's settings (`user.conf`).
pub const CONFIG_DIR: &str = "/etc/config";
/// Directory of the server's unix socket.
pub const SOCKET_DIR: &str = "/var/run/postgresql";

/// The data directory of a major version.
#[must_use]
pub fn pgdata(major: u32) -> String {
    format!("{VOLUME_ROOT}/{major}/data")
}

/// Major version of the data directory that a database's pod uses, from its `PGDATA`.
#[must_use]
pub fn pgdata_major(pod: &PodSpec) -> Option<u32> {
    let server = pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)?;
    let pgdata = server.env.as_ref()?.iter().find(|variable| variable.name == "PGDATA")?.value.as_ref()?;
    pgdata.strip_prefix(VOLUME_ROOT)?.split('/').nth(1)?.parse().ok()
}

/// Directory of one upgrade on the volume.
#[must_use]
pub fn request_dir(uid: &str) -> PathBuf {
    PathBuf::from(STATE_DIR).join("requests").join(uid)
}

/// Directories that may hold `PostgreSQL`'s programs in an image, most specific first: packages of Debian and
/// the PGDG, of Red Hat, the Docker library's own build, packages of Alpine.
#[must_use]
pub fn bindir_candidates(major: u32) -> Vec<PathBuf> {
    [
        format!("/usr/lib/postgresql/{major}/bin"),
        format!("/usr/pgsql-{major}/bin"),
        "/usr/local/bin".to_owned(),
        format!("/usr/libexec/postgresql{major}"),
        "/usr/bin".to_owned(),
    ]
    .into_iter()
    .map(PathBuf::from)
    .collect()
}

/// A `passwd` file in which the pod's user is named `postgres`, whatever its uid.
#[must_use]
pub fn passwd(user: u32, group: u32) -> String {
    format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         postgres:x:{user}:{group}:PostgreSQL:{VOLUME_ROOT}:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    )
}
