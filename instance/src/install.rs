//! The work of the init container: puts this program and a `passwd` file where the database's container
//! finds them. The image of the init container holds nothing but this program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pgops_api::layout;

use pgops_volume::FileError;

/// The options of `pgops-instance install`.
#[derive(clap::Args)]
pub struct Options {
    /// Directory that gets this program.
    #[arg(long, value_name = "DIR", default_value = layout::TOOLS_DIR)]
    to: PathBuf,
    /// File that gets a name for the pod's user: initdb refuses a user without one.
    #[arg(long, value_name = "FILE")]
    passwd: PathBuf,
}

/// Copies this program and writes the `passwd` file; both appear complete or not at all.
pub fn install(options: &Options) -> Result<(), FileError> {
    let own = std::env::current_exe().map_err(FileError::on("find", Path::new("/proc/self/exe")))?;
    create_dir(&options.to)?;
    let target = options.to.join("pgops-instance");
    let temporary = options.to.join(".pgops-instance.new");
    fs::copy(&own, &temporary).map_err(FileError::on("copy this program to", &temporary))?;
    rename_with_mode(&temporary, &target, 0o755)?;

    if let Some(parent) = options.passwd.parent() {
        create_dir(parent)?;
    }
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let temporary = options.passwd.with_extension("new");
    fs::write(&temporary, layout::passwd(user, group)).map_err(FileError::on("write", &temporary))?;
    rename_with_mode(&temporary, &options.passwd, 0o644)
}

fn create_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(FileError::on("create", path))
}

/// The mode is set before the rename, and independently of the umask.
fn rename_with_mode(temporary: &Path, target: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(temporary, Permissions::from_mode(mode))
        .map_err(FileError::on("set the mode of", temporary))?;
    fs::rename(temporary, target).map_err(FileError::on("rename a new file to", target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn install_is_repeatable_and_writes_an_executable_and_a_passwd() {
        let directory = tempfile::tempdir().unwrap();
        let options =
            Options { to: directory.path().join("bin"), passwd: directory.path().join("etc/passwd") };
        for _ in 0..2 {
            install(&options).unwrap();
        }
        let program = options.to.join("pgops-instance");
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read(&program).unwrap(), fs::read(std::env::current_exe().unwrap()).unwrap());
        let line = format!("postgres:x:{}:", rustix::process::geteuid().as_raw());
        assert!(fs::read_to_string(&options.passwd).unwrap().contains(&line));
        assert_eq!(fs::read_dir(&options.to).unwrap().count(), 1);
    }
}
