//! Paths inside images and pods, and, from [`pgops_volume::paths`], on the volume of a database.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::PodSpec;
pub use pgops_volume::paths::{VOLUME_ROOT, pgdata, request_dir};

use crate::names::CONTAINER_POSTGRES;

/// Directory that the worker's containers `runner` and `programs` share: the agent's socket, and that of the proxy.
pub const PROGRAMS_DIR: &str = "/run/pgops/programs";
/// Directory that the worker's containers `runner` and `rehearsal` share: the sockets of agent and scratch server.
pub const REHEARSAL_DIR: &str = "/run/pgops/rehearsal";
/// Directory of the dumps, which `programs` writes and `rehearsal` reads.
pub const DUMPS_DIR: &str = "/run/pgops/dumps";
/// Name of an agent's socket.
pub const AGENT_SOCKET: &str = "agent.sock";
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

/// Major version of the data directory that a database's pod uses, from its `PGDATA`.
#[must_use]
pub fn pgdata_major(pod: &PodSpec) -> Option<u32> {
    let server = pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)?;
    let pgdata = server.env.as_ref()?.iter().find(|variable| variable.name == "PGDATA")?.value.as_ref()?;
    pgops_volume::paths::major_of_pgdata(pgdata)
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
