//! The database's `Service`.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use pgops_api::names;
use serde_json::json;

use super::client::Cluster;
use super::error::ClusterError;

impl Cluster {
    /// Publishes not-ready addresses so that clients reach the server before the kubelet reports it ready: they connect
    /// at its first answer, instead of once the readiness has reached every node, which saves half a second of outage.
    /// Otherwise it is off: the Service would lead to pods that are ending, or are lost with their node.
    pub async fn publish_not_ready_addresses(&self, publish: bool) -> Result<(), ClusterError> {
        self.service
            .patch("patch", json!({ "spec": { "publishNotReadyAddresses": publish } }))
            .await
            .map(drop)
    }

    /// Where clients connect to; `None` if there is no Service, or it has no address of its own.
    pub async fn service_address(&self) -> Result<Option<SocketAddr>, ClusterError> {
        Ok(self.service.read_opt().await?.as_ref().and_then(address))
    }
}

fn address(service: &Service) -> Option<SocketAddr> {
    // `None` as text stands for a headless Service.
    let ip: IpAddr = service.spec.as_ref()?.cluster_ip.as_deref()?.parse().ok()?;
    Some(SocketAddr::new(ip, names::POSTGRES_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::usual("10.96.0.7", Some("10.96.0.7:5432"))]
    #[case::ipv6("fd00::7", Some("[fd00::7]:5432"))]
    #[case::headless("None", None)]
    fn address_is_that_of_the_cluster(#[case] ip: &str, #[case] expected: Option<&str>) {
        let service = serde_json::from_value(json!({ "spec": { "clusterIP": ip } })).unwrap();
        assert_eq!(address(&service).map(|address| address.to_string()).as_deref(), expected);
    }
}
