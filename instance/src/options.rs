//! The options of the instance: flags, or in a pod the environment.

use std::str::FromStr;

use pgops_api::layout::{VOLUME_ROOT, major_of_pgdata, pgdata};
use pgops_api::names;
use pgops_api::postgres::ClientAuthMode;
use pgops_api::tls::{ServerTls, SslMode};

use crate::boot::Place;
use crate::ha::Member;
use crate::initdb::Arguments;
use crate::server::Servers;

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
    #[arg(long, env = "PGOPS_HA_SCOPE", value_name = "NAME", requires = "pod_name")]
    pub ha_scope: Option<String>,
    /// Name of this pod, `<database>-<number>`: in a database of several servers it is that of its server.
    #[arg(long, env = "PGOPS_POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
}

impl Options {
    /// This server among those of its database, if there are several.
    pub fn member(&self, superuser: &str) -> Option<Member> {
        let name = self.pod_name.clone()?;
        Some(Member {
            scope: self.ha_scope.clone()?,
            host: names::pod_host(&self.database, &name, &self.namespace),
            name,
            namespace: self.namespace.clone(),
            superuser: superuser.to_owned(),
            major: self.pgdata.major,
        })
    }

    /// Which of the database's servers this is.
    pub fn place(&self) -> Place {
        match (&self.ha_scope, &self.pod_name) {
            (None, _) => Place::Only,
            (Some(_), Some(pod)) if *pod == names::pod(&self.database, 0) => Place::First,
            (Some(_), _) => Place::Other,
        }
    }

    /// How many servers the database has.
    pub fn servers(&self) -> Servers {
        if self.ha_scope.is_some() { Servers::Several } else { Servers::One }
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
    use clap::Parser;
    use rstest::rstest;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parse(more: &[&str]) -> Result<Options, clap::Error> {
        let line = ["run", "--pgdata=/var/pv/17/data", "--namespace=demo", "--database=orders"];
        Line::try_parse_from(line.iter().chain(more)).map(|line| line.options)
    }

    #[rstest]
    #[case(&[], Place::Only)]
    #[case(&["--pod-name=orders-0"], Place::Only)]
    #[case(&["--ha-scope=orders-ha-17", "--pod-name=orders-0"], Place::First)]
    #[case(&["--ha-scope=orders-ha-17", "--pod-name=orders-1"], Place::Other)]
    #[case(&["--ha-scope=orders-ha-17", "--pod-name=orders-00"], Place::Other)]
    #[case(&["--ha-scope=orders-ha-17", "--pod-name=shop-0"], Place::Other)]
    fn place_follows_from_the_name_of_the_pod(#[case] more: &[&str], #[case] expected: Place) {
        assert_eq!(parse(more).unwrap().place(), expected);
    }

    #[test]
    fn member_is_known_by_the_name_of_its_pod() {
        let options = parse(&["--ha-scope=orders-ha-17", "--pod-name=orders-2"]).unwrap();
        let member = options.member("postgres").unwrap();
        assert_eq!(
            (member.name.as_str(), member.host.as_str()),
            ("orders-2", "orders-2.orders-pods.demo.svc")
        );
        assert!(parse(&["--pod-name=orders-0"]).unwrap().member("postgres").is_none());
        assert!(parse(&["--ha-scope=orders-ha-17"]).is_err());
    }

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
