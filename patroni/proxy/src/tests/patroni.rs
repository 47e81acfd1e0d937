//! The real Patroni, as far as it talks to Kubernetes. `patroni/test proxy` runs this with the bundle.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::api_server::{Answer, ApiServer};
use super::start_proxy;
use super::store::Store;

/// The unpacked bundle.
const HOME: &str = "PGOPS_PATRONI_HOME";

#[tokio::test]
#[ignore = "needs the Patroni bundle: patroni/test proxy"]
async fn every_call_of_patroni_passes() {
    let home = PathBuf::from(std::env::var_os(HOME).expect("PGOPS_PATRONI_HOME is not set"));
    let api_server = ApiServer::start().await;
    let store = Arc::new(Store::new());
    api_server.answer(Answer::Store(store.clone()));
    let proxy = start_proxy(&api_server).await;

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/patroni.py");
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let mut patroni = Command::new(home.join("lib/ld-linux-x86-64.so.2"));
    patroni.arg("--library-path").arg(home.join("lib")).arg(home.join("bin/python3")).arg(script);
    patroni.arg(format!("http://{proxy}")).env("KUBECONFIG", kubeconfig.path()).kill_on_drop(true);
    let output = timeout(Duration::from_mins(2), patroni.output()).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}{}", String::from_utf8_lossy(&output.stdout));
    assert!(!log.contains("ERROR"), "{log}");

    assert_eq!(store.label("pods/orders-1", "kubedb.com/role").as_deref(), Some("primary"));
    assert!(store.annotation("pods/orders-1", "status").unwrap().contains("running"));
    let leader = |key| store.annotation("configmaps/orders-ha-17-leader", key);
    // Given up at the end, with the last position.
    assert_eq!((leader("leader"), leader("optime").as_deref()), (None, Some("200")));
    assert!(leader("failsafe").unwrap().contains("orders-1"));
    assert_eq!(store.annotation("configmaps/orders-ha-17-config", "initialize").as_deref(), Some("7"));
    assert_eq!(store.annotation("configmaps/orders-ha-17-sync", "quorum").as_deref(), Some("1"));
    assert_eq!(store.annotation("configmaps/orders-ha-17-failover", "member").as_deref(), Some("orders-2"));
}
