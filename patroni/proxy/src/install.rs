//! The work of the init container: copies the Patroni bundle from the image to a directory that the database's container
//! mounts. The image has no other program.

use std::fs::{self, FileType, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pgops_volume::FileError;

/// The options of `pgops-patroni-proxy install`.
#[derive(clap::Args)]
pub struct Options {
    /// Directory that gets the Patroni bundle.
    #[arg(long, value_name = "DIR", default_value = "/pgops/ha")]
    to: PathBuf,
    /// Directory of the image with the Patroni bundle.
    #[arg(long, value_name = "DIR", default_value = "/bundle/pgops/ha")]
    from: PathBuf,
}

/// Copies the bundle. It can be repeated: the directory outlives an init container that is started again.
pub fn install(options: &Options) -> Result<(), FileError> {
    copy_directory(&options.from, &options.to)
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::create_dir_all(to).map_err(FileError::on("create", to))?;
    let entries = fs::read_dir(from).map_err(FileError::on("list", from))?;
    for entry in entries {
        let entry = entry.map_err(FileError::on("list", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(FileError::on("find the type of", &source))?;
        copy(kind, &source, &target)?;
    }
    Ok(())
}

/// Modes are those of the source, independently of the umask.
fn copy(kind: FileType, source: &Path, target: &Path) -> Result<(), FileError> {
    if kind.is_dir() {
        copy_directory(source, target)?;
        return copy_mode(source, target);
    }
    // A file that runs cannot be written, and one of an interrupted copy may be incomplete.
    remove_if_exists(target).map_err(FileError::on("replace", target))?;
    if kind.is_symlink() {
        let destination = fs::read_link(source).map_err(FileError::on("read the link", source))?;
        return symlink(destination, target).map_err(FileError::on("create the link", target));
    }
    fs::copy(source, target).map_err(FileError::on("copy a file of the bundle to", target))?;
    copy_mode(source, target)
}

fn copy_mode(source: &Path, target: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(source).map_err(FileError::on("read the mode of", source))?;
    let mode = metadata.permissions().mode() & 0o777;
    fs::set_permissions(target, Permissions::from_mode(mode))
        .map_err(FileError::on("set the mode of", target))
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn install_keeps_modes_and_links_and_is_repeatable() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { from: directory.path().join("bundle"), to: directory.path().join("ha") };
        fs::create_dir_all(options.from.join("bin")).unwrap();
        fs::write(options.from.join("bin/python3"), "program").unwrap();
        fs::set_permissions(options.from.join("bin/python3"), Permissions::from_mode(0o755)).unwrap();
        fs::write(options.from.join("readme"), "text").unwrap();
        fs::set_permissions(options.from.join("readme"), Permissions::from_mode(0o444)).unwrap();
        symlink("python3", options.from.join("bin/python")).unwrap();
        fs::set_permissions(options.from.join("bin"), Permissions::from_mode(0o711)).unwrap();

        install(&options).unwrap();
        // What an interrupted copy leaves.
        fs::remove_file(options.to.join("readme")).unwrap();
        fs::write(options.to.join("bin/python3"), "pro").unwrap();
        install(&options).unwrap();

        assert_eq!(fs::read_to_string(options.to.join("bin/python3")).unwrap(), "program");
        assert_eq!(mode(&options.to.join("bin/python3")), 0o755);
        assert_eq!(mode(&options.to.join("readme")), 0o444);
        assert_eq!(mode(&options.to.join("bin")), 0o711);
        assert_eq!(fs::read_link(options.to.join("bin/python")).unwrap(), Path::new("python3"));
    }

    #[test]
    fn image_without_a_bundle_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let from = directory.path().join("bundle");
        let error = install(&Options { from: from.clone(), to: directory.path().join("ha") }).unwrap_err();
        assert!(error.to_string().contains(&format!("failed to list {}", from.display())), "{error}");
    }
}
