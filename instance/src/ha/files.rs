//! Writes the files that Patroni reads.

use std::path::{Path, PathBuf};

use pgops_volume::{FileError, Tree, Volume};

use super::configuration::{SERVER_DIR, patroni_yml};
use super::kubeconfig::kubeconfig;
use super::member::Member;
use super::secret::Passwords;
use crate::server;

/// Patroni's files.
pub struct Files {
    pub configuration: PathBuf,
    pub kubeconfig: PathBuf,
}

/// Writes them, for this user alone: one has passwords.
pub fn write(
    member: &Member,
    passwords: &Passwords,
    run_dir: &Tree,
    volume: &Volume,
) -> Result<Files, FileError> {
    run_dir.create_dir(&run_dir.root().join(SERVER_DIR))?;
    let text = patroni_yml(member, passwords, run_dir.root(), volume);
    Ok(Files {
        configuration: server::write(run_dir, "patroni.yml", &text)?,
        kubeconfig: server::write(run_dir, "kubeconfig", &kubeconfig())?,
    })
}

impl Files {
    /// The variable that leads Patroni to the kubeconfig.
    pub fn environment(&self) -> (&'static str, &Path) {
        ("KUBECONFIG", &self.kubeconfig)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn file_with_passwords_is_private() {
        let root = tempfile::tempdir().unwrap();
        let member = Member {
            scope: "orders-ha-17".to_owned(),
            name: "orders-0".to_owned(),
            host: "orders-0".to_owned(),
            namespace: "demo".to_owned(),
            superuser: "postgres".to_owned(),
            major: 17,
        };
        let passwords = Passwords { replication: "s3cret".to_owned(), rewind: "s3cret".to_owned() };
        let files = write(&member, &passwords, &Tree::at(root.path()), &Volume::at("/var/pv")).unwrap();
        let mode = fs::metadata(&files.configuration).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(fs::read_to_string(&files.configuration).unwrap().contains("s3cret"));
        assert!(!fs::read_to_string(&files.kubeconfig).unwrap().contains("s3cret"));
    }
}
