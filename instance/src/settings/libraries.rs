//! Whether the libraries exist that settings have the server load. The program that checks settings does not look: a server that
//! is started without one of them ends at once, and each session fails that is to load one.

use std::path::{Path, PathBuf};

use pgops_api::layout::VOLUME_ROOT;

/// Settings that name libraries.
pub const SETTINGS: [&str; 3] = ["shared_preload_libraries", "session_preload_libraries", LOCAL];
/// The one that any user may set: it reaches only what was installed for that purpose.
const LOCAL: &str = "local_preload_libraries";
/// The setting that says where they are.
pub const SEARCH_PATH: &str = "dynamic_library_path";

/// Stands for the directory of the server's own libraries.
const LIBDIR: &str = "$libdir";
/// End of the name of a library's file, which settings need not have.
const SUFFIX: &str = ".so";

/// Where a server looks for libraries.
pub struct SearchPath {
    libdir: PathBuf,
    directories: Vec<PathBuf>,
}

impl SearchPath {
    /// Of a server with this directory of its own, and this value of [`SEARCH_PATH`].
    pub fn new(libdir: PathBuf, path: &str) -> Self {
        let directories = path.split(':').map(|directory| expand(directory, &libdir)).collect();
        Self { libdir, directories }
    }

    /// Which library of a setting does not exist, and what to do; none if all of them do.
    pub fn missing(&self, setting: &str, value: &str) -> Option<String> {
        let missing = names(value).into_iter().find(|name| {
            let is_plugin = setting == LOCAL && !name.contains('/');
            let path = if is_plugin { format!("{LIBDIR}/plugins/{name}") } else { name.clone() };
            !self.finds(&path)
        })?;
        Some(format!(
            "could not find library \"{}\" of {setting} in {}: use an image that has it, or remove it from the setting",
            shown(&missing),
            self.libdir.display()
        ))
    }

    fn finds(&self, name: &str) -> bool {
        let paths = [self.paths(name), self.paths(&format!("{name}{SUFFIX}"))];
        paths.iter().flatten().any(|path| path.is_file() || is_unknown(path))
    }

    /// The files that the server tries for a name. Version 18 finds `$libdir/NAME` in other directories too.
    fn paths(&self, name: &str) -> Vec<PathBuf> {
        let own = name.strip_prefix(LIBDIR).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        let mut paths = Vec::new();
        if !own.contains('/') {
            paths.extend(self.directories.iter().map(|directory| directory.join(own)));
        }
        if name.contains('/') {
            paths.push(expand(name, &self.libdir));
        }
        paths
    }
}

fn expand(path: &str, libdir: &Path) -> PathBuf {
    match path.strip_prefix(LIBDIR) {
        Some("") => libdir.to_owned(),
        Some(rest) if rest.starts_with('/') => libdir.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    }
}

/// Whether it cannot be told if a file exists: its directory depends on where the server runs, or it is on the volume, which a pod
/// that only checks settings does not have.
fn is_unknown(path: &Path) -> bool {
    !path.is_absolute() || (path.starts_with(VOLUME_ROOT) && !Path::new(VOLUME_ROOT).is_dir())
}

/// The names in a list, which may be quoted.
fn names(value: &str) -> Vec<String> {
    let mut is_quoted = false;
    let items = value.trim().split(|char: char| {
        is_quoted ^= char == '"';
        char == ',' && !is_quoted
    });
    items.map(|item| item.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The setting may be in a Secret: what does not look like a name is not shown.
fn shown(name: &str) -> &str {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_-.+/$".contains(char);
    if name.len() <= 100 && name.chars().all(is_part) { name } else { "…" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::fs;

    /// With `lib/citus.so`, `lib/plugins/debugger.so` and `more/ours.so`.
    fn installed(root: &Path) -> SearchPath {
        for file in ["lib/citus.so", "lib/plugins/debugger.so", "more/ours.so"] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        SearchPath::new(root.join("lib"), &format!("$libdir:{}", root.join("more").display()))
    }

    #[rstest]
    #[case::none("shared_preload_libraries", "", None)]
    #[case::all("shared_preload_libraries", "citus, ours.so,\"citus\"", None)]
    #[case::own_directory("session_preload_libraries", "$libdir/citus,$libdir/plugins/debugger.so", None)]
    #[case::plugin("local_preload_libraries", "debugger", None)]
    #[case::no_plugin("local_preload_libraries", "citus", Some("citus"))]
    #[case::misspelled("shared_preload_libraries", "citus, nosuch", Some("nosuch"))]
    #[case::directory("shared_preload_libraries", "plugins", Some("plugins"))]
    #[case::absolute("shared_preload_libraries", "/nonexistent/a.so", Some("/nonexistent/a.so"))]
    #[case::relative_to_the_data("shared_preload_libraries", "base/a", None)]
    #[case::no_name("shared_preload_libraries", "\"my, secret\"", Some("…"))]
    fn library_that_the_server_would_not_find_is_named(
        #[case] setting: &str,
        #[case] value: &str,
        #[case] expected: Option<&str>,
    ) {
        let root = tempfile::tempdir().unwrap();
        let found = installed(root.path()).missing(setting, value);
        match (found, expected) {
            (None, None) => {}
            (Some(words), Some(name)) => {
                assert!(
                    words.starts_with(&format!("could not find library \"{name}\" of {setting} in ")),
                    "{words}"
                );
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }
}
