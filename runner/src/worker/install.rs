//! Copies this binary into a shared directory, so that it can run inside any database image.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::postgres::program::pg_dump::RUNNER;

/// The program or the passwd file could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("failed to install {path}: the emptyDir must be mounted and writable")]
pub struct InstallError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Copies this program into the directory `to`, and writes entries for the pod's user into the file `passwd`.
///
/// `initdb` and `pg_upgrade` reject a user without a name, and images name their users differently.
pub fn install(to: &Path, passwd: &Path) -> Result<(), InstallError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| InstallError { path, source }
    };
    fs::create_dir_all(to).map_err(failed(to))?;
    let program = to.join(RUNNER);
    // `/proc/self/exe`, whatever name this program was started under.
    fs::copy("/proc/self/exe", &program).map_err(failed(&program))?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(failed(&program))?;
    if let Some(parent) = passwd.parent() {
        fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    fs::write(passwd, pgops_api::layout::passwd(user, group)).map_err(failed(passwd))
}
