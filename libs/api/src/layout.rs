//! Where things are inside images and pods, and, from [`pgops_volume::paths`], on the volume of a database.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::PodSpec;
pub use pgops_volume::paths::{VOLUME_ROOT, pgdata, request_dir};

use crate::names::CONTAINER_POSTGRES;

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

/// Major version whose data directory a database's pod has, by its `PGDATA`.
#[must_use]
pub fn pgdata_major(pod: &PodSpec) -> Option<u32> {
    let server = pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)?;
    let pgdata = server.env.as_ref()?.iter().find(|variable| variable.name == "PGDATA")?.value.as_ref()?;
    pgops_volume::paths::major_of_pgdata(pgdata)
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
