//! The objects that an instance reads from the API server: the `Postgres`, which says whether the database was initialised
//! before, and in a database of several servers Patroni's record of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, Config};
use pgops_api::rollout::{Lock, Patroni};
use pgops_api::{Postgres, display_chain, names};
use pgops_kube::connect::{self, ConnectError};
use serde_json::Value;

use crate::ha;

/// Timeout of a request, which is then made again.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The annotation in which Patroni records the system identifier of its database (`dcs/kubernetes.py`).
const IDENTITY: &str = "initialize";
/// The annotation with the settings that all members share.
const CONFIG: &str = "config";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There is no API server to query.
    #[error("{}", display_chain(.0))]
    NotConnected(#[from] ConnectError),
    /// The API server refused the request.
    #[error("{0}")]
    Refused(String),
    /// The API server could not be reached.
    #[error("{0}")]
    Unreachable(kube::Error),
    #[error("ConfigMap {0} does not exist yet")]
    NoRecord(String),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl From<kube::Error> for NoAnswer {
    fn from(error: kube::Error) -> Self {
        match error {
            // Its message; the text of the error would add the whole response.
            kube::Error::Api(status) => Self::Refused(status.message),
            other => Self::Unreachable(other),
        }
    }
}

/// The pod's own `Postgres`; `None` if it does not exist.
pub async fn own_database(namespace: &str, name: &str) -> Result<Option<Postgres>, NoAnswer> {
    let read = async |client| Ok(Api::namespaced(client, namespace).get_opt(name).await?);
    ask(connect::in_cluster(), read).await
}

async fn ask<T>(
    config: Result<Config, ConnectError>,
    read: impl AsyncFnOnce(Client) -> Result<T, NoAnswer>,
) -> Result<T, NoAnswer> {
    let client = connect::client(config?)?;
    tokio::time::timeout(TIMEOUT, read(client)).await?
}

/// What a server of several knows of its database.
pub struct Records {
    /// `None` if it does not exist.
    pub database: Option<Postgres>,
    /// The system identifier, if a server has one.
    pub identity: Option<String>,
}

/// Reads them by the sidecar: the container of such a server has no token.
pub async fn records(namespace: &str, name: &str, scope: &str) -> Result<Records, NoAnswer> {
    let read = async |client| read_records(client, namespace, name, scope).await;
    ask(connect::behind_proxy(ha::PROXY), read).await
}

async fn read_records(client: Client, namespace: &str, name: &str, scope: &str) -> Result<Records, NoAnswer> {
    let database: Option<Postgres> = Api::namespaced(client.clone(), namespace).get_opt(name).await?;
    let record = names::ha_config(scope);
    let found: Option<ConfigMap> = Api::namespaced(client, namespace).get_opt(&record).await?;
    // Without it nothing is known: it exists before the first pod.
    let found = found.ok_or(NoAnswer::NoRecord(record))?;
    let identity = found.metadata.annotations.and_then(|mut annotations| annotations.remove(IDENTITY));
    Ok(Records { database, identity })
}

/// What the servers of a database share, at a moment.
#[derive(Clone, Debug)]
pub struct Shared {
    pub lock: Lock,
    pub patroni: Patroni,
    /// The system identifier, if a server has one.
    pub identity: Option<u64>,
}

/// Reads it by the sidecar.
pub async fn shared(namespace: &str, scope: &str) -> Result<Shared, NoAnswer> {
    let read = async |client| read_shared(client, namespace, scope).await;
    ask(connect::behind_proxy(ha::PROXY), read).await
}

async fn read_shared(client: Client, namespace: &str, scope: &str) -> Result<Shared, NoAnswer> {
    let api: Api<ConfigMap> = Api::namespaced(client, namespace);
    let config = api.get(&names::ha_config(scope)).await?.metadata.annotations.unwrap_or_default();
    let leader = api.get(&names::ha_leader(scope)).await?;
    Ok(Shared {
        lock: Lock::parse(leader.metadata.annotations.as_ref()),
        patroni: patroni(config.get(CONFIG).map(String::as_str)),
        identity: config.get(IDENTITY).and_then(|identity| identity.parse().ok()),
    })
}

/// Whether the settings have Patroni act. If they cannot be read, nothing is done on its behalf.
fn patroni(config: Option<&str>) -> Patroni {
    let settings: Option<Value> = config.and_then(|text| serde_json::from_str(text).ok());
    let is_paused = |settings: &Value| settings.get("pause").and_then(Value::as_bool).unwrap_or_default();
    if settings.is_some_and(|settings| !is_paused(&settings)) { Patroni::Active } else { Patroni::Paused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::postgres::PostgresSpec;
    use pgops_testing::fake_api_server::FakeApiServer;

    #[tokio::test]
    async fn servers_share_a_lock_an_identity_and_whether_patroni_acts() {
        let server = FakeApiServer::new("demo");
        let put = |name: &str, annotations: &[(&str, &str)]| {
            let mut record = ConfigMap::default();
            record.metadata.name = Some(name.to_owned());
            let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            record.metadata.annotations = Some(pairs.collect());
            server.put(&record);
        };
        let shared = || read_shared(server.client(), "demo", "orders-ha-17");
        assert!(matches!(shared().await, Err(NoAnswer::Refused(_))));
        put("orders-ha-17-config", &[("initialize", "7578143241987891234"), ("config", r#"{"ttl":20}"#)]);
        put("orders-ha-17-leader", &[("leader", "orders-1"), ("renewTime", "2026-11-20T10:00:03+00:00")]);
        let found = shared().await.unwrap();
        assert_eq!(found.identity, Some(7_578_143_241_987_891_234));
        assert_eq!(found.lock.holder.as_deref(), Some("orders-1"));
        assert!(found.lock.renewed.is_some());
        assert_eq!(found.patroni, Patroni::Active);
        for config in [r#"{"pause":true}"#, "{", ""] {
            put("orders-ha-17-config", &[("config", config)]);
            assert_eq!(shared().await.unwrap().patroni, Patroni::Paused, "{config}");
        }
    }

    async fn read(server: &FakeApiServer) -> Result<Records, NoAnswer> {
        read_records(server.client(), "demo", "orders", "orders-ha-17").await
    }

    #[tokio::test]
    async fn identity_is_that_of_the_scope_and_nothing_is_known_without_its_record() {
        let server = FakeApiServer::new("demo");
        assert!(
            matches!(read(&server).await, Err(NoAnswer::NoRecord(name)) if name == "orders-ha-17-config")
        );
        let mut record = ConfigMap::default();
        record.metadata.name = Some("orders-ha-17-config".to_owned());
        server.put(&record);
        let records = read(&server).await.unwrap();
        assert!(records.database.is_none() && records.identity.is_none());

        server.put(&Postgres::new("orders", PostgresSpec::default()));
        record.metadata.annotations = Some([(IDENTITY.to_owned(), "7578143241987891234".to_owned())].into());
        server.put(&record);
        let records = read(&server).await.unwrap();
        assert!(records.database.is_some());
        assert_eq!(records.identity.as_deref(), Some("7578143241987891234"));
    }
}
