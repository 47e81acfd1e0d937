//! Patroni's own settings. Those that all members share are in the annotation `config` of a `ConfigMap`, which the provisioner
//! writes: `ttl`, `loop_wait`, the synchronous mode and the like.

use std::path::Path;

use pgops_api::failover_timings::Timings;
use pgops_api::layout;
use pgops_api::names::{self, LABEL_HA, LABEL_ROLE, ROLE_PRIMARY, ROLE_STANDBY};
use pgops_volume::Volume;
use serde_json::{Value, json};

use super::kubeconfig::CONTEXT;
use super::member::Member;
use super::secret::Passwords;
use crate::gate::BIN_DIR;
use crate::server::{HBA, SETTINGS};
use crate::watchdog::FIFO;

/// Directory of the files that Patroni writes for the server.
pub const SERVER_DIR: &str = "pg";
/// Patroni's name of the way in which a member gets its data.
const CLONE_METHOD: &str = "pgops";

/// The file. As JSON, which is YAML too.
pub fn patroni_yml(member: &Member, passwords: &Passwords, run_dir: &Path, volume: &Volume) -> String {
    let file = json!({
        "scope": member.scope,
        "name": member.name,
        "kubernetes": kubernetes(member),
        "restapi": rest(member),
        "ctl": {
            "certfile": secret("tls.crt"),
            "keyfile": secret("tls.key"),
            "cacert": secret("ca.crt"),
        },
        "watchdog": {
            "mode": "required",
            // The one that writes to a FIFO.
            "driver": "testing",
            "device": run_dir.join(FIFO),
            // How much earlier than the lock ends.
            "safety_margin": Timings::STANDBYS.ttl() - Timings::STANDBYS.watchdog(),
        },
        "postgresql": postgresql(member, passwords, run_dir, volume),
    });
    format!("{file:#}\n")
}

fn secret(key: &str) -> String {
    format!("{}/{key}", layout::HA_SECRET_DIR)
}

fn kubernetes(member: &Member) -> Value {
    json!({
        "namespace": member.namespace,
        "context": CONTEXT,
        "scope_label": LABEL_HA,
        "labels": { LABEL_HA: member.scope },
        "role_label": LABEL_ROLE,
        "leader_label_value": ROLE_PRIMARY,
        "follower_label_value": ROLE_STANDBY,
        "standby_leader_label_value": ROLE_STANDBY,
        "use_endpoints": false,
    })
}

fn rest(member: &Member) -> Value {
    json!({
        "listen": format!("*:{}", names::PATRONI_PORT),
        "connect_address": format!("{}:{}", member.host, names::PATRONI_PORT),
        "certfile": secret("tls.crt"),
        "keyfile": secret("tls.key"),
        "cafile": secret("ca.crt"),
        "verify_client": "required",
    })
}

fn postgresql(member: &Member, passwords: &Passwords, run_dir: &Path, volume: &Volume) -> Value {
    let data = volume.data_dir(member.major);
    json!({
        "listen": format!("*:{}", names::POSTGRES_PORT),
        "connect_address": format!("{}:{}", member.host, names::POSTGRES_PORT),
        "use_unix_socket": true,
        "use_unix_socket_repl": true,
        "bin_dir": run_dir.join(BIN_DIR),
        "data_dir": data,
        "config_dir": run_dir.join(SERVER_DIR),
        "custom_conf": run_dir.join(SETTINGS),
        "pgpass": run_dir.join("pgpass"),
        // Data that nothing can be made of is not removed by Patroni: it may be the last.
        "remove_data_directory_on_diverged_timelines": false,
        "remove_data_directory_on_rewind_failure": false,
        "create_replica_methods": [CLONE_METHOD],
        CLONE_METHOD: {
            "command": format!("{}/pgops-instance clone", layout::TOOLS_DIR),
            // Otherwise Patroni removes data before the command, and after its failure.
            "keep_data": true,
        },
        "authentication": {
            "superuser": { "username": member.superuser },
            "replication": { "username": names::REPLICATION_USER, "password": passwords.replication },
            "rewind": { "username": names::REWIND_USER, "password": passwords.rewind },
        },
        "parameters": {
            "hba_file": run_dir.join(HBA),
            "ident_file": data.join("pg_ident.conf"),
            "unix_socket_directories": layout::SOCKET_DIR,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_of_a_member() {
        let member = Member {
            scope: "orders-ha-17".to_owned(),
            name: "orders-0".to_owned(),
            host: "orders-0.orders-pods.demo.svc".to_owned(),
            namespace: "demo".to_owned(),
            superuser: "postgres".to_owned(),
            major: 17,
        };
        let passwords = Passwords { replication: "r\"1".to_owned(), rewind: "w2".to_owned() };
        let text = patroni_yml(&member, &passwords, Path::new("/pgops/run"), &Volume::at("/var/pv"));
        insta::assert_snapshot!(text);
    }
}
