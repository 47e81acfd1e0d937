//! The proxy between a client and a fake API server that speaks TLS, on loopback.

mod api_server;
mod client;
mod failures;
mod passing;
mod patroni;
mod refusals;
mod store;
mod watches;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use self::api_server::ApiServer;
use crate::credentials::Credentials;
use crate::exchange::Proxy;
use crate::fixtures::orders;
use crate::log::Log;
use crate::{listener, upstream};

const PODS: &str = "/api/v1/namespaces/demo/pods?labelSelector=pgops.dev%2Fha%3Dorders-ha-17";
const LEADER: &str = "/api/v1/namespaces/demo/configmaps/orders-ha-17-leader";
/// Maximum time of anything that must happen, however busy the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

/// Starts the proxy of `demo/orders`; returns its address.
async fn start_proxy(api_server: &ApiServer) -> SocketAddr {
    let credentials = Credentials::in_directory(api_server.service_account());
    let address = api_server.address();
    let server = upstream::ApiServer::new(address.ip().to_string(), address.port(), credentials).unwrap();
    let proxy = Proxy { database: Arc::new(orders()), server: Arc::new(server), log: Log::default() };
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(listener::serve(vec![socket], Arc::new(proxy), std::future::pending()));
    address
}

async fn within_deadline<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it did not happen in time")
}
