//! Where an installation of `PostgreSQL` has its programs, libraries and shared files.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pgops_api::layout;
use serde::{Deserialize, Serialize};

/// Record of a staged installation, in the directory that it was staged in.
const RECORD: &str = "installation.json";

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
    /// Finds the installation of a major version below `root`: `/` for this image, or the directory that another image's
    /// was staged in, with a record of where it is.
    pub fn find(root: &Path, major: u32) -> Result<Self, InstallationError> {
        if let Some(staged) = Self::staged(root) {
            return Ok(staged);
        }
        Self::search(root, major, std::env::var_os("PATH").as_deref())
    }

    /// Searches the usual directories, and those of `path`.
    fn search(root: &Path, major: u32, path: Option<&OsStr>) -> Result<Self, InstallationError> {
        let below = |path: &Path| below(root, path);
        let candidates = layout::bindir_candidates(major, path);
        let bindir =
            candidates.iter().find(|dir| below(&dir.join("postgres")).exists()).ok_or_else(|| {
                let names: Vec<_> = candidates.iter().map(|dir| dir.display().to_string()).collect();
                InstallationError::NotFound {
                    major,
                    root: root.display().to_string(),
                    searched: names.join(", "),
                }
            })?;
        let prefixes = prefixes(root, bindir);
        let find = |file: &'static str, next_to: &[&str], elsewhere: [String; 4]| {
            let next_to = prefixes.iter().flat_map(|prefix| next_to.iter().map(|name| prefix.join(name)));
            let mut directories =
                next_to.chain(elsewhere.into_iter().map(PathBuf::from)).map(|directory| below(&directory));
            directories.find(|directory| directory.join(file).exists()).ok_or_else(|| {
                InstallationError::Incomplete { file: file.to_owned(), major, bindir: bindir.clone() }
            })
        };
        let pkglibdir = find(
            "plpgsql.so",
            &["lib", "lib64", "lib/postgresql", "lib64/postgresql"],
            [
                format!("/usr/lib/postgresql{major}"),
                "/usr/lib/postgresql".to_owned(),
                "/usr/lib64/pgsql".to_owned(),
                "/usr/lib/pgsql".to_owned(),
            ],
        )?;
        let versioned = below(Path::new(&format!("/usr/share/postgresql/{major}")));
        let sharedir = if versioned.join("postgres.bki").exists() {
            versioned
        } else {
            find(
                "postgres.bki",
                &["share/postgresql", "share"],
                [
                    format!("/usr/share/postgresql{major}"),
                    "/usr/share/postgresql".to_owned(),
                    "/usr/share/pgsql".to_owned(),
                    format!("/usr/share/pgsql-{major}"),
                ],
            )?
        };
        Ok(Self { bindir: below(bindir), pkglibdir, sharedir })
    }

    /// Records in the directory that it was staged in where it is: the image that looks for it there has another `PATH`.
    pub fn record(&self, root: &Path) -> io::Result<()> {
        fs::write(root.join(RECORD), serde_json::to_vec(self)?)
    }

    /// The installation that was staged below `root`.
    fn staged(root: &Path) -> Option<Self> {
        if root == Path::new("/") {
            return None;
        }
        let record: Self = serde_json::from_slice(&fs::read(root.join(RECORD)).ok()?).ok()?;
        let below = |path: &Path| below(root, path);
        Some(Self {
            bindir: below(&record.bindir),
            pkglibdir: below(&record.pkglibdir),
            sharedir: below(&record.sharedir),
        })
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

/// A path of an image whose root is this directory.
#[must_use]
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The directories above the programs: as they are found, and, if the server is a link (Alpine, Red Hat's alternatives),
/// where it leads to, by which the server itself looks for its files.
fn prefixes(root: &Path, bindir: &Path) -> Vec<PathBuf> {
    let server = fs::canonicalize(below(root, &bindir.join("postgres"))).unwrap_or_default();
    let real = server.parent().and_then(Path::parent).map(|prefix| {
        let inside = prefix.strip_prefix(root).unwrap_or(prefix);
        Path::new("/").join(inside)
    });
    bindir.parent().map(Path::to_owned).into_iter().chain(real).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

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
        let found = Installation::search(root.path(), 13, None).unwrap();
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
        let found = Installation::search(root.path(), 17, None).unwrap();
        assert_eq!(found.pkglibdir, root.path().join("usr/local/lib/postgresql"));
        assert_eq!(found.sharedir, root.path().join("usr/local/share/postgresql"));
    }

    #[rstest]
    #[case::bitnami(
        "opt/bitnami/postgresql/bin",
        "opt/bitnami/postgresql/lib",
        "opt/bitnami/postgresql/share"
    )]
    #[case::fedora("usr/bin", "usr/lib64/pgsql", "usr/share/pgsql")]
    #[case::pgdg_on_red_hat("usr/pgsql-17/bin", "usr/pgsql-17/lib", "usr/pgsql-17/share")]
    #[case::alpine("usr/libexec/postgresql17", "usr/lib/postgresql17", "usr/share/postgresql17")]
    #[case::suse("usr/lib/postgresql17/bin", "usr/lib/postgresql17/lib64", "usr/share/postgresql17")]
    #[case::built_from_source("usr/local/pgsql/bin", "usr/local/pgsql/lib", "usr/local/pgsql/share")]
    #[case::on_the_images_path("opt/custom/bin", "opt/custom/lib/postgresql", "opt/custom/share/postgresql")]
    fn installation_is_found_in_the_layout(
        #[case] bindir: &str,
        #[case] pkglibdir: &str,
        #[case] sharedir: &str,
    ) {
        let root = image(&[
            &format!("{bindir}/postgres"),
            &format!("{pkglibdir}/plpgsql.so"),
            &format!("{sharedir}/postgres.bki"),
        ]);
        let path = OsStr::new("/usr/sbin:/opt/custom/bin");
        let found = Installation::search(root.path(), 17, Some(path)).unwrap();
        let expected = [bindir, pkglibdir, sharedir].map(|path| root.path().join(path));
        assert_eq!([found.bindir, found.pkglibdir, found.sharedir], expected);
    }

    #[test]
    fn installation_of_a_linked_server_is_where_the_link_leads() {
        let root = image(&[
            "opt/pg/17/bin/postgres",
            "opt/pg/17/lib/plpgsql.so",
            "opt/pg/17/share/postgres.bki",
            "usr/bin/psql",
        ]);
        let root = root.path().canonicalize().unwrap();
        std::os::unix::fs::symlink(root.join("opt/pg/17/bin/postgres"), root.join("usr/bin/postgres"))
            .unwrap();
        let found = Installation::search(&root, 17, None).unwrap();
        assert_eq!(found.bindir, root.join("usr/bin"));
        assert_eq!(
            (found.pkglibdir, found.sharedir),
            (root.join("opt/pg/17/lib"), root.join("opt/pg/17/share"))
        );
    }

    #[test]
    fn staged_installation_is_found_by_its_record_whatever_the_path_is() {
        let root = tempfile::tempdir().unwrap();
        let of_image = |path: &str| PathBuf::from("/opt/custom").join(path);
        let installation =
            Installation { bindir: of_image("bin"), pkglibdir: of_image("lib"), sharedir: of_image("share") };
        installation.record(root.path()).unwrap();
        let found = Installation::find(root.path(), 17).unwrap();
        assert_eq!(found.bindir, root.path().join("opt/custom/bin"));
        assert_eq!(found.sharedir, root.path().join("opt/custom/share"));
    }

    #[test]
    fn installation_of_another_major_version_is_rejected() {
        let root = image(&["usr/lib/postgresql/15/bin/postgres"]);
        let error = Installation::search(root.path(), 17, None).unwrap_err().to_string();
        assert!(error.contains("/usr/lib/postgresql/17/bin"), "{error}");
    }

    #[test]
    fn installation_without_libraries_is_rejected() {
        let root = image(&["usr/lib/postgresql/17/bin/postgres"]);
        let error = Installation::search(root.path(), 17, None).unwrap_err().to_string();
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
