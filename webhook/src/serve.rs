//! `pgops-webhook serve`: admission. It reads, and writes nothing but its certificate authorities.

use pgops_certs::{CertificateManager, Certificates};

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

    let tls_config = pgops_certs::server_config(certificates.resolver());
    let reviews = admission::router(process.caches.clone(), process.metrics.clone());
    let readiness = process.readiness.clone();
    let shutdown = process.shutdown.clone();
    let listener = tls::serve(args.bind, tls_config, reviews, readiness.clone(), shutdown.clone());
    let admission = serve_admission(manager, listener, readiness, shutdown);
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
