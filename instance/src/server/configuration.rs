//! The files that a server reads, generated for each container.

use std::io::Write;
use std::path::{Path, PathBuf};

use pgops_api::postgres::ClientAuthMode;
use pgops_api::serverconf::{self, MountedAuthority};
use pgops_api::tls::ServerTls;
use pgops_volume::{FileError, Tree, Volume};

/// The settings that a server reads, which say where the others are.
pub const SETTINGS: &str = "postgresql.conf";
/// Who may connect.
pub const HBA: &str = "pg_hba.conf";

/// What the generated files of a server depend on.
pub struct Configuration {
    pub client_auth_mode: Option<ClientAuthMode>,
    /// None if the server does not speak TLS.
    pub tls: Option<ServerTls>,
    pub authority: MountedAuthority,
    pub servers: Servers,
}

/// How many servers a database has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Servers {
    One,
    Several,
}

impl Configuration {
    pub fn hba(&self) -> String {
        let clients = serverconf::pg_hba(self.client_auth_mode, self.tls);
        match self.servers {
            Servers::One => clients,
            Servers::Several => serverconf::members_hba(self.tls) + &clients,
        }
    }

    pub fn settings(&self, data: &Path, major: u32) -> String {
        match self.tls {
            None => serverconf::postgresql_conf(data),
            Some(_) => serverconf::postgresql_conf_with_tls(data, major, self.authority),
        }
    }
}

/// The generated `postgresql.conf` of this pod's server.
pub fn settings_path(run_dir: &Tree) -> PathBuf {
    run_dir.root().join(SETTINGS)
}

/// Replaces the `postgresql.conf` of a server that runs. It may be reading it: a user may have called `pg_reload_conf()`, and
/// after a SIGHUP each of its processes reads the file when it is done with its query.
pub fn replace_settings(
    volume: &Volume,
    major: u32,
    configuration: &Configuration,
    run_dir: &Tree,
) -> Result<(), FileError> {
    let text = configuration.settings(&volume.data_dir(major), major);
    run_dir.replace(&settings_path(run_dir), text.as_bytes())
}

/// Writes a file that lives as long as the container, and that nothing reads yet: it is not synced, which would take time in
/// an outage.
pub fn write(directory: &Tree, name: &str, text: &str) -> Result<PathBuf, FileError> {
    let path = directory.root().join(name);
    let mut file = directory.create_file(&path)?;
    file.write_all(text.as_bytes()).map_err(FileError::on("write", &path)).map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::tls::SslMode;
    use std::fs;
    use std::io::Read;

    #[test]
    fn replaced_settings_are_read_as_a_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let (volume, run_dir) = (Volume::at("/var/pv"), Tree::at(root.path()));
        let configuration = |authority| Configuration {
            client_auth_mode: None,
            tls: Some(ServerTls { mode: SslMode::Require, verifies_clients: false }),
            authority,
            servers: Servers::One,
        };
        let [before, after] = [MountedAuthority::Absent, MountedAuthority::Present].map(configuration);
        let [old, new] = [&before, &after].map(|it| it.settings(&volume.data_dir(17), 17));
        let path = write(&run_dir, SETTINGS, &old).unwrap();
        assert_eq!(path, settings_path(&run_dir));

        let mut reader = fs::File::open(&path).unwrap();
        replace_settings(&volume, 17, &after, &run_dir).unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, old, "a server that had opened the file reads another one");
        assert_eq!(fs::read_to_string(&path).unwrap(), new);
        assert_ne!(old, new);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "a temporary file is left");
    }
}
