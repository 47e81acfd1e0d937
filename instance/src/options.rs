//! The options of the instance: flags, or in a pod the environment.

use std::str::FromStr;

use pgops_api::layout::{VOLUME_ROOT, major_of_pgdata, pgdata};
use pgops_api::postgres::ClientAuthMode;
use pgops_api::tls::{ServerTls, SslMode};

use crate::ha::Member;
use crate::initdb::Arguments;

/// The options of `pgops-instance run`. In a pod, all of them come from the environment.
#[derive(clap::Args)]
pub struct Options {
    /// The data directory, `/var/pv/<major version>/data`.
    #[arg(long, env = "PGDATA", value_name = "DIR")]
    pub pgdata: DataDirectory,
    /// Namespace of the `Postgres`.
    #[arg(long, env = "PGOPS_NAMESPACE")]
    pub namespace: String,
    /// Name of the `Postgres`.
    #[arg(long, env = "PGOPS_DATABASE")]
    pub database: String,
    /// How passwords are checked: md5, scram or cert.
    #[arg(long, env = "PGOPS_CLIENT_AUTH_MODE", value_name = "MODE", value_parser = client_auth_mode)]
    pub client_auth_mode: Option<ClientAuthMode>,
    /// Speaks TLS with the mounted certificate: allow, prefer, require, verify-ca or verify-full.
    #[arg(long, env = "PGOPS_SSL_MODE", value_name = "MODE")]
    pub ssl_mode: Option<SslMode>,
    /// Arguments of initdb, split as by a shell.
    #[arg(
        long,
        env = "POSTGRES_INITDB_ARGS",
        value_name = "ARGS",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub initdb_arguments: Arguments,
    /// Seconds from SIGTERM to the kubelet's SIGKILL.
    #[arg(long, env = "PGOPS_GRACE_SECONDS", value_name = "SECONDS", default_value_t = 300)]
    pub grace_seconds: u64,
    /// Name of what the servers of a database share, `<database>-ha-<major version>`: with it Patroni starts and stops the server.
    #[arg(long, env = "PGOPS_HA_SCOPE", value_name = "NAME", requires = "ha_member", requires = "ha_host")]
    pub ha_scope: Option<String>,
    /// Name of this server among those of its database: that of the pod.
    #[arg(long, env = "PGOPS_HA_MEMBER", value_name = "NAME")]
    pub ha_member: Option<String>,
    /// Name by which the other servers of the database reach this one.
    #[arg(long, env = "PGOPS_HA_HOST", value_name = "HOST")]
    pub ha_host: Option<String>,
}

impl Options {
    /// This server among those of its database, if there are several.
    pub fn member(&self, superuser: &str) -> Option<Member> {
        Some(Member {
            scope: self.ha_scope.clone()?,
            name: self.ha_member.clone()?,
            host: self.ha_host.clone()?,
            namespace: self.namespace.clone(),
            superuser: superuser.to_owned(),
            major: self.pgdata.major,
        })
    }

    /// How the server speaks TLS, if it does.
    pub fn server_tls(&self) -> Option<ServerTls> {
        let mode = self.ssl_mode.filter(|mode| *mode != SslMode::Disable)?;
        Some(ServerTls { mode, verifies_clients: self.client_auth_mode == Some(ClientAuthMode::Cert) })
    }
}

/// The major version that a data directory's path names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DataDirectory {
    pub major: u32,
}

impl FromStr for DataDirectory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        major_of_pgdata(text)
            .filter(|major| pgdata(*major) == text)
            .map(|major| Self { major })
            .ok_or_else(|| format!("expected {VOLUME_ROOT}/<major version>/data"))
    }
}

fn client_auth_mode(text: &str) -> Result<ClientAuthMode, String> {
    match text {
        "md5" => Ok(ClientAuthMode::Md5),
        "scram" => Ok(ClientAuthMode::Scram),
        "cert" => Ok(ClientAuthMode::Cert),
        _ => Err("expected md5, scram or cert".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/var/pv/13/data", Some(13))]
    #[case("/var/pv/data", None)]
    #[case("/var/pv/013/data", None)]
    #[case("/var/pv/13/data/", None)]
    #[case("/var/lib/postgresql/13/data", None)]
    fn data_directory_path_names_the_major_version(#[case] path: &str, #[case] major: Option<u32>) {
        assert_eq!(path.parse().ok(), major.map(|major| DataDirectory { major }));
    }
}
