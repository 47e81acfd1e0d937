//! Since when the database serves its clients, which reach it through the Service.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pgops_api::display_chain;
use pgops_api::outage::serving_since;
use pgops_tls::SSL_REQUEST;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::context::UpgradeContext;
use crate::cluster::ClusterError;

/// How long to wait until the Service leads to a server that is ready. Nodes learn of it about once a second.
const SERVICE_WAIT: Duration = Duration::from_secs(10);
/// Time limit of one attempt, and interval between two: it adds to the outage that is measured.
const ATTEMPT: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(50);

impl UpgradeContext {
    /// Since when a pod of the database has been ready, if one is. A failure only makes the outage less exact.
    pub async fn observe_serving(&self) -> Option<Timestamp> {
        let reported = self.cluster.ready_to_write_since().await.unwrap_or_else(|error| {
            tracing::warn!("{}", display_chain(&error));
            None
        });
        Some(serving_since(Some(reported?), Timestamp::now()))
    }

    /// Waits until clients reach the pod that has just been found ready; returns since when they do. They may write already,
    /// so nothing here fails the step or delays it for long.
    pub(super) async fn wait_serving(&self) -> Timestamp {
        let seen = Timestamp::now();
        let (reported, address) = match tokio::time::timeout(SERVICE_WAIT, self.read_serving()).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::warn!("{}", display_chain(&error));
                return seen;
            }
            // Its retries are logged.
            Err(_) => return seen,
        };
        let began = Instant::now();
        if let Some(address) = address {
            wait_for_answer(address).await;
        }
        serving_since(reported, seen) + began.elapsed()
    }

    /// Since when clients can write to the pod, and where they connect to.
    async fn read_serving(&self) -> Result<(Option<Timestamp>, Option<SocketAddr>), ClusterError> {
        Ok((self.cluster.ready_to_write_since().await?, self.cluster.service_address().await?))
    }
}

/// Waits for a server at `address`. One that is ready and not reached, for example because the worker may not reach the
/// Service, fails nothing.
async fn wait_for_answer(address: SocketAddr) {
    let waiting = async {
        while !matches!(tokio::time::timeout(ATTEMPT, answer(address)).await, Ok(Ok(()))) {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    if tokio::time::timeout(SERVICE_WAIT, waiting).await.is_err() {
        tracing::warn!(
            "the server is ready, but was not reached through its Service at {address} within {} s: the outage may last longer \
             than is reported; look at the Service's EndpointSlices, or allow the worker's pod to reach it",
            SERVICE_WAIT.as_secs()
        );
    }
}

async fn answer(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&SSL_REQUEST).await?;
    stream.read_u8().await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn server_is_asked_until_it_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            // A proxy accepts connections before it has a server for them.
            drop(listener.accept().await.unwrap());
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; SSL_REQUEST.len()];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(b"N").await.unwrap();
            request
        });
        wait_for_answer(address).await;
        assert_eq!(server.await.unwrap(), SSL_REQUEST);
    }
}
