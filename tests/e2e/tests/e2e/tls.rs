//! TLS between clients and databases.

mod cert_manager;
mod clients;
mod upgrades;

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use pgops_api::{Postgres, condition};
use pgops_e2e::{Database, Namespace, wait_for, with_namespace};
use serde_json::json;

use cert_manager::{Authority, CertManager, Issued};
use clients::{ensure_plain_connections_are_refused, ensure_verified, files, query, wait_served};

const SERVER: &str = "orders-server-cert";
const CLIENT: &str = "orders-client-cert";
/// The kubelet mounts a Secret that was missing within about two minutes, and replaces one about as fast.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Waits until the condition `CertificatesReady` has this reason; returns its message.
async fn wait_reason(ns: &Namespace, reason: &str) -> anyhow::Result<String> {
    let find = |found: Option<&Postgres>| {
        let found = condition::find(found?.conditions(), "CertificatesReady")?.clone();
        (found.reason.as_deref() == Some(reason)).then(|| found.message.unwrap_or_default())
    };
    let what = format!("CertificatesReady: {reason}");
    let found = wait_for(&ns.api(), "orders", &what, TIMEOUT, |found| find(found).is_some()).await?;
    find(found.as_ref()).context("it was deleted meanwhile")
}

/// Has the kubelet look at the pod's volumes at once.
async fn poke(ns: &Namespace) -> anyhow::Result<()> {
    let now = format!("{:?}", Instant::now());
    let change = Patch::Merge(json!({"metadata": {"annotations": {"pgops.dev/test-poke": now}}}));
    ns.api::<Pod>().patch("orders-0", &PatchParams::default(), &change).await?;
    Ok(())
}

/// The pod's uid, and how often its server was started again.
async fn start_of_server(ns: &Namespace) -> anyhow::Result<(Option<String>, i32)> {
    let pod = ns.api::<Pod>().get("orders-0").await?;
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_deref());
    let restarts = containers.unwrap_or_default().iter().map(|container| container.restart_count).sum();
    Ok((pod.uid(), restarts))
}

#[tokio::test]
async fn issued_certificates_are_served_renewed_and_kept_by_a_major_upgrade() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let has_no_cert_manager = cert_manager::uninstall(ns.cluster()).await?;
        let issuer = json!({"apiGroup": "cert-manager.io", "kind": "Issuer", "name": "ca"});
        let orders = ns.postgres("orders").version("13.16").field("sslMode", json!("require"));
        let orders = orders.field("tls", json!({"issuerRef": issuer})).create().await?;
        if has_no_cert_manager {
            let message = wait_reason(ns, "CertManagerMissing").await?;
            ensure!(message.contains("Install cert-manager"), "{message}");
        }

        let issuing = CertManager::start(ns).await?;
        orders.wait_ready().await?;
        let message = wait_reason(ns, "CertificatesReady").await?;
        ensure!(message.contains("is valid until"), "{message}");
        ensure_verified(ns).await?;
        ensure_plain_connections_are_refused(ns).await?;

        let before = start_of_server(ns).await?;
        let renewed = issuing.renew(SERVER).await?;
        poke(ns).await?;
        wait_served(ns, &renewed).await?;
        ensure!(start_of_server(ns).await? == before, "the server was restarted for its certificate");

        upgrade_with_client_certificates(ns, &orders, &issuing, &renewed).await?;
        if has_no_cert_manager {
            cert_manager::uninstall(ns.cluster()).await?;
        }
        Ok(())
    })
    .await
}

/// The upgrade rolls out the other way to authenticate, and connects by it to the new server.
async fn upgrade_with_client_certificates(
    ns: &Namespace,
    orders: &Database,
    issuing: &CertManager,
    served: &Issued,
) -> anyhow::Result<()> {
    let trusted = files(&[("tls.crt", &served.certificate)])?;
    query(ns, &trusted, None, "SELECT lo_from_bytea(4711, 'kept')::text").await?;
    let change = Patch::Merge(json!({"spec": {"clientAuthMode": "cert"}}));
    ns.api::<Postgres>().patch("orders", &PatchParams::default(), &change).await?;
    let is_pending = |found: Option<&Postgres>| {
        let pending = found.and_then(|it| condition::find(it.conditions(), "RestartPending"));
        pending.and_then(|it| it.message.as_deref()).is_some_and(|message| message.contains("clientAuthMode"))
    };
    wait_for(&ns.api(), "orders", "a pending restart", TIMEOUT, is_pending).await?;

    let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
    upgrade.wait_successful().await?;
    orders.wait_ready().await?;

    let entry = ns.api::<Secret>().get(CLIENT).await?.data.context("the Secret is empty")?;
    let text =
        |key: &str| anyhow::Ok(String::from_utf8(entry.get(key).context("a key is missing")?.0.clone())?);
    let client = files(&[("tls.crt", &text("tls.crt")?), ("tls.key", &text("tls.key")?)])?;
    let kept = query(ns, &trusted, Some(&client), "SELECT convert_from(lo_get(4711), 'UTF8')").await?;
    ensure!(kept == "kept", "the upgrade has lost data: {kept}");
    let version = query(ns, &trusted, Some(&client), "SHOW server_version").await?;
    ensure!(version.starts_with("17.11"), "{version}");
    if query(ns, &trusted, None, "SHOW server_version").await.is_ok() {
        bail!("a password was accepted instead of a certificate");
    }
    let stranger =
        issuing.authority().issue(&json!({"commonName": "stranger", "usages": ["client auth"]}))?;
    let stranger = files(&[("tls.crt", &stranger.certificate), ("tls.key", &stranger.key)])?;
    if query(ns, &trusted, Some(&stranger), "SHOW server_version").await.is_ok() {
        bail!("the certificate of another user was accepted");
    }
    ensure_plain_connections_are_refused(ns).await
}

#[tokio::test]
async fn server_waits_for_a_usable_certificate_and_says_why() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let authority = Authority::new()?;
        let issue = || authority.issue(&json!({"dnsNames": ["db.example.org"]}));
        let tls = json!({"certificates": [{"alias": "server", "secretName": "mine"}]});
        let orders = ns.postgres("orders").version("17.11").field("sslMode", json!("verify-full"));
        let orders = orders.field("tls", tls).create().await?;
        let message = wait_reason(ns, "SecretNotFound").await?;
        ensure!(message.contains("Secret mine") && message.contains("kubectl"), "{message}");

        let issued = issue()?;
        let mismatched = Issued { certificate: issued.certificate.clone(), key: issue()?.key };
        cert_manager::write(ns, &authority.secret("mine", &mismatched)).await?;
        let message = wait_reason(ns, "CertificateInvalid").await?;
        ensure!(message.contains("tls.key does not belong to tls.crt"), "{message}");
        ensure!(!orders.object().await?.was_initialized(), "a server ran without its certificate");

        cert_manager::write(ns, &authority.secret("mine", &issued)).await?;
        poke(ns).await?;
        orders.wait_ready().await?;
        wait_served(ns, &issued).await?;

        // What becomes unusable later does not end a server that runs, and no upgrade restarts it.
        cert_manager::write(ns, &authority.secret("mine", &mismatched)).await?;
        poke(ns).await?;
        wait_reason(ns, "CertificateInvalid").await?;
        wait_served(ns, &issued).await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6").create().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "PreflightFailed" && message.contains("[certificate]"), "{reason}: {message}");
        Ok(())
    })
    .await
}
