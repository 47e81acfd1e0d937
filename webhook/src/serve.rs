//! `pgops-webhook serve`: admission. It reads, and writes nothing but its certificate authorities.

use std::convert::Infallible;
use std::sync::Arc;

use pgops_certs::{CertificateManager, Certificates, ClientAuthority};

use crate::admission;
use crate::args::ServeArgs;
use crate::process::Process;
use crate::server::tls;
use pgops_kube::Readiness;
use pgops_kube::shutdown::CancellationToken;

const CERTIFICATE: &str = "certificate";

/// Serves admission reviews until a termination signal.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let process = Process::start(args.process.clone(), &[CERTIFICATE]).await?;
    let certificates = Certificates::default();
    let manager = args.certificate_manager(&process.client, certificates.clone())?;

    let clients = args.certificate.client_authority()?;
    let tls_config = pgops_certs::server_config(certificates.resolver(), clients.clone());
    let reviews =
        admission::router(process.caches.clone(), process.metrics.clone(), Some(process.client.clone()));
    let readiness = process.readiness.clone();
    let shutdown = process.shutdown.clone();
    let metrics = process.metrics.clone();
    let listener = tls::serve(args.bind, tls_config, reviews, metrics, readiness.clone(), shutdown.clone());
    let admission = serve_admission(manager, listener, readiness, shutdown);
    let admission = async {
        tokio::select! {
            served = admission => served,
            ended = watch_client_authority(clients) => match ended {},
        }
    };
    Box::pin(process.run(certificates, admission)).await
}

/// Obtains the certificate, then serves admission while the certificate is renewed.
async fn serve_admission(
    mut manager: CertificateManager,
    listener: impl Future<Output = anyhow::Result<()>>,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        obtained = manager.initial_certificate() => obtained?,
        () = shutdown.cancelled() => return Ok(()),
    }
    readiness.set_met(CERTIFICATE);
    tokio::select! {
        served = listener => served,
        ended = manager.run() => match ended? {},
    }
}

/// Follows changes of the CA for clients, if there is one.
async fn watch_client_authority(clients: Option<Arc<ClientAuthority>>) -> Infallible {
    match clients {
        Some(clients) => clients.watch().await,
        None => std::future::pending().await,
    }
}
