//! The environment of `PostgreSQL`'s programs.

use std::ffi::OsString;

/// UTF-8, in the order of bytes; C libraries up to 2.34 sort characters beyond U+FFFF otherwise.
pub const LANG: &str = "C.UTF-8";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of the server: the container's, so that an `archive_command` finds what the user has
/// set for it, without the variables that would reconfigure the server unnoticed (`PGPORT`, `PGDATA`, those of
/// libpq), and without those of this program.
///
/// `LANG` is always set: without a locale the server writes its messages in no defined encoding.
pub fn server(inherited: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let removed = ["PG", "POSTGRES", "KUBERNETES_"];
    let keep = |name: &OsString| {
        let name = name.to_string_lossy();
        !removed.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut kept: Vec<_> = inherited.into_iter().filter(|(name, _)| keep(name)).collect();
    for (name, value) in [("LANG", LANG), ("PATH", PATH)] {
        if !kept.iter().any(|(kept, _)| kept == name) {
            kept.push((name.into(), value.into()));
        }
    }
    kept
}

/// The environment of initdb: the same in every image, so that a database's locale and encoding
/// never depend on the image.
pub fn initdb() -> [(&'static str, &'static str); 2] {
    [("LANG", LANG), ("PATH", PATH)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_gets_the_users_environment_without_reserved_variables() {
        let inherited = [
            ("PATH", "/usr/lib/postgresql/17/bin:/usr/bin"),
            ("AWS_REGION", "eu-central-1"),
            ("PGDATA", "/var/pv/17/data"),
            ("PGPORT", "5433"),
            ("PGOPS_DATABASE", "orders"),
            ("POSTGRES_INITDB_ARGS", "-k"),
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
        ];
        let mut kept: Vec<_> = server(inherited.map(|(name, value)| (name.into(), value.into())))
            .into_iter()
            .map(|(name, _)| name.into_string().unwrap())
            .collect();
        kept.sort();
        assert_eq!(kept, ["AWS_REGION", "LANG", "PATH"]);
    }
}
