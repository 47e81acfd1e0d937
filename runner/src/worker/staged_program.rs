//! The programs in the staged bin directory: each is a symbolic link to this binary, which recognises by `argv[0]`
//! that it must act as a program of the old version.
//!
//! The real program is next to the link as `<name>.real`, and runs under its own dynamic loader with its own
//! libraries. `LD_LIBRARY_PATH` would leak into every child (the new `pg_dump`, `/bin/sh`); the loader's
//! `--library-path` does not. `PostgreSQL` uses only the *directory* of `argv[0]`, so its other programs and its
//! share directory are found from `<name>.real` too.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The loader of the old image, below the stage's root.
pub const LOADER: &str = "pgops-stage/ld.so";
/// The libraries of the old image, below the stage's root.
pub const LIBRARIES: &str = "pgops-stage/lib";
/// The programs of the old version that `pg_upgrade` runs.
pub const PROGRAMS: [&str; 4] = ["postgres", "pg_ctl", "pg_controldata", "pg_resetwal"];

/// A staged program could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StagedProgramError {
    #[error("failed to find the stage of {0}: no parent directory has {LOADER}")]
    NoStage(PathBuf),
    #[error("failed to run {program} with the staged loader")]
    Exec {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The files that a staged program consists of.
#[derive(Debug, Eq, PartialEq)]
struct Staged {
    loader: PathBuf,
    libraries: PathBuf,
    program: PathBuf,
}

/// Executes the staged program if `argv[0]` names one. Returns only if it does not, or with an error.
#[must_use]
pub fn exec_staged_program() -> Option<StagedProgramError> {
    let mut arguments = std::env::args_os();
    let invoked = PathBuf::from(arguments.next()?);
    let name = invoked.file_name()?.to_str()?;
    if !PROGRAMS.contains(&name) {
        return None;
    }
    let Some(staged) = locate(&invoked, Path::exists) else {
        return Some(StagedProgramError::NoStage(invoked));
    };
    let rest: Vec<OsString> = arguments.collect();
    let source = Command::new(&staged.loader)
        .arg("--library-path")
        .arg(&staged.libraries)
        .arg(&staged.program)
        .args(rest)
        .exec();
    Some(StagedProgramError::Exec { program: staged.program, source })
}

fn locate(invoked: &Path, exists: impl Fn(&Path) -> bool) -> Option<Staged> {
    let bindir = invoked.parent()?;
    let root = bindir.ancestors().find(|root| exists(&root.join(LOADER)))?;
    let name = invoked.file_name()?.to_str()?;
    Some(Staged {
        loader: root.join(LOADER),
        libraries: root.join(LIBRARIES),
        program: bindir.join(format!("{name}.real")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_program_finds_its_loader_by_its_path() {
        let loader = Path::new("/pgops/old/pgops-stage/ld.so");
        let staged = locate(Path::new("/pgops/old/usr/lib/postgresql/13/bin/pg_ctl"), |path| path == loader);
        let staged = staged.unwrap();
        assert_eq!(staged.loader, loader);
        assert_eq!(staged.libraries, Path::new("/pgops/old/pgops-stage/lib"));
        assert_eq!(staged.program, Path::new("/pgops/old/usr/lib/postgresql/13/bin/pg_ctl.real"));
    }

    #[test]
    fn staged_program_outside_a_stage_is_rejected() {
        assert_eq!(locate(Path::new("/usr/bin/postgres"), |_| false), None);
    }
}
