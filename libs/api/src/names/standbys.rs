//! Names of what only a database with standbys has.

/// Label of the pods and `ConfigMap`s by which the servers of a database find each other: [`ha_scope`].
pub const LABEL_HA: &str = "pgops.dev/ha";
/// Init container that copies the Patroni bundle.
pub const CONTAINER_PATRONI: &str = "patroni";
/// Container that lets the requests of a database to the API server through.
pub const CONTAINER_PATRONI_PROXY: &str = "patroni-proxy";
/// Port of Patroni's REST API, which only the servers of the database may call. Its usual one is the instance's.
pub const PATRONI_PORT: u16 = 8010;

/// Role of the server as which a standby streams.
pub const REPLICATION_USER: &str = "pgops_replication";
/// Role of the server as which `pg_rewind` of another one reads it.
pub const REWIND_USER: &str = "pgops_rewind";

/// Type of the Secret [`ha`].
pub const SECRET_TYPE_HA: &str = "pgops.dev/ha";
/// Key of the password by which standbys stream.
pub const REPLICATION_PASSWORD: &str = "replication-password";
/// Key of the password by which a former primary is rewound.
pub const REWIND_PASSWORD: &str = "rewind-password";

/// Name by which the servers of a database reach the one in a pod.
#[must_use]
pub fn pod_host(database: &str, pod: &str, namespace: &str) -> String {
    format!("{pod}.{}.{namespace}.svc", super::pods_service(database))
}

/// The service account of a database with standbys, its Role and its `RoleBinding`, and the Secret with what its servers know each
/// other by.
#[must_use]
pub fn ha(database: &str) -> String {
    format!("{database}-ha")
}

/// What the servers of one major version of a database share. Each major version has its own, as it has a data directory.
#[must_use]
pub fn ha_scope(database: &str, major: u32) -> String {
    format!("{}-{major}", ha(database))
}

/// The `ConfigMap`s of a scope, in which Patroni keeps its state.
#[must_use]
pub fn ha_config_maps(scope: &str) -> [String; 4] {
    ["config", "leader", "sync", "failover"].map(|part| format!("{scope}-{part}"))
}

/// The `ConfigMap` with the settings of a scope.
#[must_use]
pub fn ha_config(scope: &str) -> String {
    format!("{scope}-config")
}

/// The `ConfigMap` with the lock: its annotations name the member that holds it.
#[must_use]
pub fn ha_leader(scope: &str) -> String {
    format!("{scope}-leader")
}

/// The `ConfigMap` that records which standbys are synchronous.
#[must_use]
pub fn ha_sync(scope: &str) -> String {
    format!("{scope}-sync")
}

/// The `ConfigMap` by which a switchover is requested.
#[must_use]
pub fn ha_failover(scope: &str) -> String {
    format!("{scope}-failover")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_of_a_pod_is_one_of_the_headless_service() {
        assert_eq!(pod_host("orders", "orders-0", "demo"), "orders-0.orders-pods.demo.svc");
    }

    #[test]
    fn scope_is_that_of_a_major_version_and_fits_a_label() {
        assert_eq!(ha_scope("orders", 17), "orders-ha-17");
        assert!(ha_scope(&"o".repeat(52), 17).len() <= 63);
        let named = [ha_config, ha_leader, ha_sync, ha_failover].map(|name| name("orders-ha-17"));
        assert_eq!(ha_config_maps("orders-ha-17"), named);
    }
}
