//! Where things are: on the volume of a database, and inside `PostgreSQL` images.
//!
//! ```text
//! /var/pv/                     the volume's root, mounted once, so that links and renames work
//!   13/data  17/data           a data directory for each major version
//!   .pgops/active              the major version that serves: one line, replaced atomically
//!   .pgops/interlock           held with flock(2) by whoever runs a PostgreSQL program on the data
//!   .pgops/requests/<uid>/     the journal and the work of one upgrade
//!   .pgops/retired/<major>     an upgrade took the place of this data: one line, the time when it may be removed
//! ```

use std::path::PathBuf;

use k8s_openapi::api::core::v1::PodSpec;

use crate::names::CONTAINER_POSTGRES;

/// Mount point of a database's volume, in the database's pod and in the worker.
pub const VOLUME_ROOT: &str = "/var/pv";
/// What belongs to pgops on the volume.
pub const STATE_DIR: &str = "/var/pv/.pgops";
/// One line: the major version whose data directory serves. The switch of a major upgrade.
pub const ACTIVE_FILE: &str = "/var/pv/.pgops/active";
/// A file for each major version whose data an upgrade has replaced, with the time (RFC 3339) from which on the
/// server that took its place removes it.
pub const RETIRED_DIR: &str = "/var/pv/.pgops/retired";
/// Held with flock(2) as long as any `PostgreSQL` program may touch the data.
pub const INTERLOCK_FILE: &str = "/var/pv/.pgops/interlock";
/// Directory that init containers fill with our static binaries.
pub const TOOLS_DIR: &str = "/pgops/bin";
/// Directory of an upgrade worker in which the old version's programs are staged.
pub const OLD_DIR: &str = "/pgops/old";
/// Directory with the generated `passwd`, so that any uid has a name (initdb requires one).
pub const PASSWD_DIR: &str = "/pgops/etc";
/// Where the secret with the superuser's `username` and `password` is mounted.
pub const AUTH_DIR: &str = "/etc/pgops/auth";
/// Where the user's settings (`user.conf`) are mounted.
pub const CONFIG_DIR: &str = "/etc/config";
/// Directory of the server's unix socket.
pub const SOCKET_DIR: &str = "/var/run/postgresql";

/// The data directory of a major version.
#[must_use]
pub fn pgdata(major: u32) -> String {
    format!("{VOLUME_ROOT}/{major}/data")
}

/// Major version whose data directory a database's pod has, by its `PGDATA`.
#[must_use]
pub fn pgdata_major(pod: &PodSpec) -> Option<u32> {
    let server = pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)?;
    let pgdata = server.env.as_ref()?.iter().find(|variable| variable.name == "PGDATA")?.value.as_ref()?;
    pgdata.strip_prefix(VOLUME_ROOT)?.split('/').nth(1)?.parse().ok()
}

/// The directory of one upgrade on the volume.
#[must_use]
pub fn request_dir(uid: &str) -> PathBuf {
    PathBuf::from(STATE_DIR).join("requests").join(uid)
}

/// Where `PostgreSQL`'s programs may be in an image, most specific first: Debian's and the PGDG's
/// packages, Red Hat's, the docker library's own build, Alpine's packages.
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

/// A `passwd` file in which the pod's user is called `postgres`, whatever its number.
#[must_use]
pub fn passwd(user: u32, group: u32) -> String {
    format!(
        "root:x:0:0:root:/root:/sbin/nologin\n\
         postgres:x:{user}:{group}:PostgreSQL:{VOLUME_ROOT}:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    )
}
