//! The work of the sidecar.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::credentials::{Credentials, CredentialsError};
use crate::database::{Database, NotItsPod};
use crate::exchange::Proxy;
use crate::log::Log;
use crate::options::Options;
use crate::upstream::{ApiServer, BadAddress};
use crate::{health, listener};

/// The proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The pod is none of the database.
    #[error(transparent)]
    Pod(#[from] NotItsPod),
    /// The API server's address.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The mounted service account.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// A port is in use.
    #[error("failed to listen on {listener}")]
    Bind {
        /// Which listener.
        listener: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The signals of the kubelet.
    #[error("failed to handle signals")]
    Signals(#[source] io::Error),
}

/// Serves until the pod stops.
pub async fn run(options: Options) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let Options { namespace, database, ha_scope, pod, port, health: health_address, .. } = options;
    let database = Database::new(namespace, database, ha_scope, pod)?;
    let credentials = Credentials::in_directory(&options.service_account);
    let server = ApiServer::new(options.api_host, options.api_port, credentials)?;
    // A mistake of the pod's definition is told now. Later a failure may pass.
    server.check_credentials()?;

    let bind_failed = |listener: String| move |source| ServeError::Bind { listener, source };
    let sockets =
        listener::bind(port).await.map_err(bind_failed(format!("port {port} of the loopback interface")))?;
    let probes = health::bind(health_address).await.map_err(bind_failed(health_address.to_string()))?;
    tracing::info!(
        namespace = database.namespace(),
        scope = database.scope(),
        pod = database.pod(),
        port,
        "passing on the calls of Patroni"
    );
    let proxy = Proxy { database: Arc::new(database), server: Arc::new(server), log: Log::default() };
    let stopped = async {
        terminate.recv().await;
        tracing::info!("received SIGTERM: serving until Patroni has ended");
    };
    tokio::select! {
        () = listener::serve(sockets, Arc::new(proxy), stopped) => {}
        () = health::serve(probes) => {}
    }
    Ok(())
}
