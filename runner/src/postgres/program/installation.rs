//! Where an installation of `PostgreSQL` has its programs, libraries and shared files.

use std::path::{Path, PathBuf};

use pgops_api::layout;
use serde::{Deserialize, Serialize};

/// An installation, in this image or staged from another one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Installation {
    /// Directory of the programs.
    pub bindir: PathBuf,
    /// Directory of the server's loadable libraries.
    pub pkglibdir: PathBuf,
    /// Directory of the shared files.
    pub sharedir: PathBuf,
}

/// An image lacks the installation that it should have.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
pub enum InstallationError {
    #[error(
        "failed to find PostgreSQL {major} under \"{root}\": no executable \"postgres\" in {searched}; \
         use an image that has PostgreSQL {major}"
    )]
    NotFound { major: u32, root: String, searched: String },
    #[error(
        "failed to find {file} of PostgreSQL {major} next to {bindir}: the image's installation is incomplete"
    )]
    Incomplete {
        /// The file that marks the directory.
        file: String,
        major: u32,
        bindir: PathBuf,
    },
}

impl Installation {
    /// Finds the installation of a major version below `root`, which is `/` for this image.
    pub fn find(root: &Path, major: u32) -> Result<Self, InstallationError> {
        let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let candidates = layout::bindir_candidates(major);
        let bindir =
            candidates.iter().find(|dir| below(&dir.join("postgres")).exists()).ok_or_else(|| {
                let names: Vec<_> = candidates.iter().map(|dir| dir.display().to_string()).collect();
                InstallationError::NotFound {
                    major,
                    root: root.display().to_string(),
                    searched: names.join(", "),
                }
            })?;
        let prefix = bindir.parent().unwrap_or(bindir);
        let search = |file: &'static str, directories: &[PathBuf]| {
            directories.iter().map(|dir| below(dir)).find(|dir| dir.join(file).exists()).ok_or_else(|| {
                InstallationError::Incomplete { file: file.to_owned(), major, bindir: bindir.clone() }
            })
        };
        let pkglibdir = search(
            "plpgsql.so",
            &[
                prefix.join("lib"),
                prefix.join("lib/postgresql"),
                PathBuf::from(format!("/usr/lib/postgresql{major}")),
                PathBuf::from("/usr/lib/postgresql"),
            ],
        )?;
        let sharedir = search(
            "postgres.bki",
            &[
                PathBuf::from(format!("/usr/share/postgresql/{major}")),
                prefix.join("share/postgresql"),
                prefix.join("share"),
                PathBuf::from(format!("/usr/share/postgresql{major}")),
                PathBuf::from("/usr/share/postgresql"),
            ],
        )?;
        Ok(Self { bindir: below(bindir), pkglibdir, sharedir })
    }

    /// The path of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bindir.join(name)
    }

    /// Whether it has the library of a function, as the system catalog names it.
    pub fn has_library(&self, library: &str) -> bool {
        let name = library.strip_prefix("$libdir/").unwrap_or(library);
        let name = name.strip_suffix(".so").unwrap_or(name);
        let file = format!("{name}.so");
        if name.starts_with('/') {
            return Path::new(library).exists() || Path::new(&file).exists();
        }
        self.pkglibdir.join(file).exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn image(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    #[test]
    fn installation_is_found_in_debians_layout() {
        let root = image(&[
            "usr/lib/postgresql/13/bin/postgres",
            "usr/lib/postgresql/13/lib/plpgsql.so",
            "usr/share/postgresql/13/postgres.bki",
        ]);
        let found = Installation::find(root.path(), 13).unwrap();
        assert_eq!(found.bindir, root.path().join("usr/lib/postgresql/13/bin"));
        assert_eq!(found.pkglibdir, root.path().join("usr/lib/postgresql/13/lib"));
        assert_eq!(found.sharedir, root.path().join("usr/share/postgresql/13"));
    }

    #[test]
    fn installation_is_found_in_the_docker_librarys_layout() {
        let root = image(&[
            "usr/local/bin/postgres",
            "usr/local/lib/postgresql/plpgsql.so",
            "usr/local/share/postgresql/postgres.bki",
        ]);
        let found = Installation::find(root.path(), 17).unwrap();
        assert_eq!(found.pkglibdir, root.path().join("usr/local/lib/postgresql"));
        assert_eq!(found.sharedir, root.path().join("usr/local/share/postgresql"));
    }

    #[test]
    fn installation_of_another_major_version_is_rejected() {
        let root = image(&["usr/lib/postgresql/15/bin/postgres"]);
        let error = Installation::find(root.path(), 17).unwrap_err().to_string();
        assert!(error.contains("/usr/lib/postgresql/17/bin"), "{error}");
    }

    #[test]
    fn installation_without_libraries_is_rejected() {
        let root = image(&["usr/lib/postgresql/17/bin/postgres"]);
        let error = Installation::find(root.path(), 17).unwrap_err().to_string();
        assert!(error.contains("plpgsql.so"), "{error}");
    }

    #[test]
    fn library_is_found_by_every_name_that_a_function_may_give_it() {
        let root = image(&["lib/hstore.so"]);
        let directory = |name: &str| root.path().join(name);
        let installation = Installation {
            bindir: directory("bin"),
            pkglibdir: directory("lib"),
            sharedir: directory("share"),
        };
        let absolute = directory("lib/hstore").display().to_string();
        for name in ["$libdir/hstore", "hstore", "$libdir/hstore.so", &absolute, &format!("{absolute}.so")] {
            assert!(installation.has_library(name), "{name}");
        }
        for name in ["$libdir/absent", "absent", &directory("lib/absent").display().to_string()] {
            assert!(!installation.has_library(name), "{name}");
        }
    }
}
