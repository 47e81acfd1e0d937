//! Stages the old version in the old image: its programs, libraries and shared files, with the closure of their shared
//! objects and the dynamic loader, so that they run in the new image.
//!
//! The absolute layout is kept below the stage's root, because `PostgreSQL` finds its share directory relative to its
//! programs only if both paths end as compiled in.

mod shared_objects;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pgops_api::plan::EXIT_ENDED;

use self::shared_objects::{interpreter, resolve};
use super::staged_program::{LIBRARIES, LOADER, PROGRAMS};
use crate::postgres::program::installation::{Installation, InstallationError, below};
use crate::postgres::program::pg_dump::runner_path;

/// The old version could not be staged; the database has not been touched.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error(transparent)]
    Installation(#[from] InstallationError),
    #[error("failed to stage {path}")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("failed to read the dynamic loader's path from {0}: it is not a dynamically linked ELF program")]
    NoLoader(PathBuf),
    #[error("failed to resolve the libraries of {file}: the old image lacks {missing}")]
    MissingLibrary { file: PathBuf, missing: String },
}

impl StageError {
    /// Whether the image itself is the cause: it will be the same at the next attempt. A disk may not.
    fn is_final(&self) -> bool {
        match self {
            Self::Installation(_) | Self::NoLoader(_) | Self::MissingLibrary { .. } => true,
            Self::File { .. } => false,
        }
    }
}

/// Stages as an init container of the worker; the exit status says whether another attempt may succeed.
pub fn run(to: &Path, major: u32) -> Result<ExitCode, StageError> {
    match stage(to, major) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is_final() => {
            // The end of the log becomes the termination message of the container, and so the message of the request.
            eprintln!("{}", pgops_api::display_chain(&error));
            Ok(ExitCode::from(EXIT_ENDED))
        }
        Err(error) => Err(error),
    }
}

/// Stages the installation of `major` in this image into the directory `to`.
fn stage(to: &Path, major: u32) -> Result<(), StageError> {
    let installation = Installation::find(Path::new("/"), major)?;
    let loader = loader(&installation.program("postgres"))?;
    let libraries = to.join(LIBRARIES);
    make_dir(&libraries)?;
    copy(&loader, &to.join(LOADER))?;

    let bindir = below(to, &installation.bindir);
    make_dir(&bindir)?;
    let mut closure = BTreeSet::new();
    for program in PROGRAMS {
        let source = installation.program(program);
        closure.extend(required(&loader, &source, Missing::Reject)?);
        copy(&source, &bindir.join(format!("{program}.real")))?;
        let link = bindir.join(program);
        remove_if_exists(&link)?;
        symlink(runner_path(), &link).map_err(failed(&link))?;
    }
    for library in copy_tree(&installation.pkglibdir, &below(to, &installation.pkglibdir))? {
        // An extension's library that does not load in the old image either is not in use there.
        closure.extend(required(&loader, &library, Missing::Accept)?);
    }
    copy_tree(&installation.sharedir, &below(to, &installation.sharedir))?;
    for library in &closure {
        let name = library.file_name().unwrap_or_default();
        copy(library, &libraries.join(name))?;
    }
    installation.record(to).map_err(failed(to))?;
    println!(
        "staged PostgreSQL {major} from {} with its own loader and {} libraries",
        installation.bindir.display(),
        closure.len()
    );
    Ok(())
}

/// What to do about a library that the image does not have.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Reject,
    Accept,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StageError {
    let path = path.to_owned();
    move |source| StageError::File { path, source }
}

fn make_dir(path: &Path) -> Result<(), StageError> {
    fs::create_dir_all(path).map_err(failed(path))
}

fn remove_if_exists(path: &Path) -> Result<(), StageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        _ => Ok(()),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), StageError> {
    // A restarted container finds its own read-only copies, which cannot be opened for writing.
    remove_if_exists(to)?;
    fs::copy(from, to).map(drop).map_err(failed(from))
}

/// Copies a directory, following links, and returns the shared objects in it.
///
/// The JIT is left out: its `libLLVM` has another name in each release, and a server that finds `llvmjit.so` without it
/// fails on the first expensive query; without `llvmjit.so` it just does not compile.
fn copy_tree(from: &Path, to: &Path) -> Result<Vec<PathBuf>, StageError> {
    make_dir(to)?;
    let mut libraries = Vec::new();
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let path = entry.map_err(failed(from))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let target = to.join(&name);
        if path.is_dir() {
            if !["bitcode", "pgxs", "man", "doc", "locale"].contains(&name.as_str()) {
                libraries.extend(copy_tree(&path, &target)?);
            }
        } else if !name.starts_with("llvmjit") && path.exists() {
            copy(&path, &target)?;
            if target.extension().is_some_and(|extension| extension == "so") {
                libraries.push(path);
            }
        }
    }
    Ok(libraries)
}

/// The dynamic loader that a program requires.
fn loader(program: &Path) -> Result<PathBuf, StageError> {
    let data = fs::read(program).map_err(failed(program))?;
    interpreter(&data).ok_or_else(|| StageError::NoLoader(program.to_owned()))
}

/// The closure of a file's shared objects, as the image's own loader resolves it.
fn required(loader: &Path, file: &Path, missing: Missing) -> Result<Vec<PathBuf>, StageError> {
    let resolved = resolve(loader, file).map_err(failed(file))?;
    if missing == Missing::Reject && !resolved.missing.is_empty() {
        return Err(StageError::MissingLibrary {
            file: file.to_owned(),
            missing: resolved.missing.join(", "),
        });
    }
    Ok(resolved.found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_retries_a_full_disk_but_not_a_missing_version() {
        let to = tempfile::tempdir().unwrap();
        assert_eq!(run(to.path(), 3).unwrap(), ExitCode::from(EXIT_ENDED));
        let full = failed(to.path())(io::ErrorKind::StorageFull.into());
        assert!(!full.is_final());
    }

    #[test]
    fn tree_is_copied_without_the_jit() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(from.path().join("bitcode/x")).unwrap();
        for file in ["plpgsql.so", "llvmjit.so", "llvmjit_types.bc", "bitcode/x/a.bc"] {
            fs::write(from.path().join(file), "").unwrap();
        }
        let libraries = copy_tree(from.path(), to.path()).unwrap();
        assert_eq!(libraries, [from.path().join("plpgsql.so")]);
        let copied: Vec<_> =
            fs::read_dir(to.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(copied, ["plpgsql.so"]);
    }
}
