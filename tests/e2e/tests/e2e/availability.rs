//! Admission stays available while the webhook is disturbed.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use pgops_e2e::{AdmissionLoad, Cluster, Namespace, kubectl, wait_for, with_namespace};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_mins(2);

/// The objects of the webhook, in the shared installation: another test installs a release of its own meanwhile.
const WEBHOOK: &str =
    "app.kubernetes.io/name=pgops,app.kubernetes.io/component=webhook,app.kubernetes.io/instance=pgops";

/// A busy machine answers fewer than are sent, over half a minute, but enough to notice a replica that loses some.
const LEAST_ADMISSIONS: usize = 100;

#[tokio::test]
async fn rolling_restart_of_webhook_loses_no_admission() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let load = start_load(ns).await?;
        let restarted = restart(ns.cluster()).await;
        let result = load.stop().await?;
        restarted?;
        ensure!(result.answered > LEAST_ADMISSIONS, "too few admissions meanwhile: {result:?}");
        Ok(())
    })
    .await
}

/// A new CA is announced, signs, and is used by every replica.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn rotation_of_ca_loses_no_admission() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let load = start_load(ns).await?;
        let rotated = rotate(ns.cluster()).await;
        let result = load.stop().await?;
        rotated?;
        ensure!(result.answered > LEAST_ADMISSIONS, "too few admissions meanwhile: {result:?}");
        Ok(())
    })
    .await
}

/// Requests a new CA, and waits until every replica serves a certificate that it signed.
async fn rotate(cluster: &Cluster) -> anyhow::Result<()> {
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), &cluster.system);
    let all = secrets.list(&ListParams::default().labels(WEBHOOK)).await?.items;
    let before = all.into_iter().next().context("the webhook has no Secret with a CA")?;
    let name = before.name_any();
    let value = |secret: &Secret, key: &str| secret.data.as_ref().and_then(|data| data.get(key)).cloned();
    let first = value(&before, "ca.crt").context("the Secret has no CA")?;

    let old_expiries = wait_for_expiries(cluster, "the CA expiry of every replica", |_| true).await?;

    let rotate = json!({"metadata": {"annotations": {"pgops.dev/rotate-authority": "requested by a test"}}});
    secrets.patch(&name, &PatchParams::default(), &Patch::Merge(rotate)).await?;
    let signs = |found: Option<&Secret>| {
        found.is_some_and(|secret| {
            value(secret, "ca.crt").as_ref() != Some(&first) && value(secret, "next.crt").is_none()
        })
    };
    let after = wait_for(&secrets, &name, "a new CA that signs", TIMEOUT, signs).await?;
    let after = after.context("the Secret was deleted")?;
    let previous = value(&after, "previous.crt").context("the previous CA is no longer trusted")?;
    ensure!(contains(&previous, &first), "the Secret's previous CA is another one");
    let both = [first, value(&after, "ca.crt").context("the new CA is empty")?];
    let configurations = Api::<ValidatingWebhookConfiguration>::all(cluster.client.clone());
    for configuration in configurations.list(&ListParams::default().labels(WEBHOOK)).await? {
        for hook in configuration.webhooks.iter().flatten() {
            let bundle = hook.client_config.ca_bundle.as_ref().context("a webhook has no caBundle")?;
            ensure!(both.iter().all(|one| contains(bundle, one)), "{} does not trust both CAs", hook.name);
        }
    }
    let what = "a certificate of the new CA from every replica";
    wait_for_expiries(cluster, what, |expiries| expiries.iter().all(|it| !old_expiries.contains(it))).await?;
    Ok(())
}

/// Waits until the expiries that all replicas report satisfy `condition`. Concurrent tests may replace pods, and a
/// pod that was deleted, or that has no address yet, reports nothing.
async fn wait_for_expiries(
    cluster: &Cluster,
    what: &str,
    condition: impl Fn(&[String]) -> bool,
) -> anyhow::Result<Vec<String>> {
    let reported = async {
        loop {
            match ca_expiries(cluster).await {
                Ok(expiries) if condition(&expiries) => return expiries,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    tokio::time::timeout(TIMEOUT, reported).await.with_context(|| format!("timed out waiting for {what}"))
}

fn contains(bundle: &ByteString, certificate: &ByteString) -> bool {
    String::from_utf8_lossy(&bundle.0).contains(String::from_utf8_lossy(&certificate.0).trim())
}

/// The expiry metric of each replica's CA.
async fn ca_expiries(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let mut expiries = Vec::new();
    for pod in pods(cluster).await? {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:8080/proxy/metrics", cluster.system);
        let text = kubectl(&["get", "--raw", &path], None).await?.succeeded()?.stdout;
        let is_expiry = |line: &&str| line.contains("expiry") && line.contains("certificate=\"authority\"");
        let line = text.lines().find(is_expiry);
        expiries
            .push(line.with_context(|| format!("{pod} has no expiry metric of its CA: {text}"))?.to_owned());
    }
    Ok(expiries)
}

/// Starts a load of one request that is admitted and one that is denied.
async fn start_load(ns: &Namespace) -> anyhow::Result<AdmissionLoad> {
    ns.postgres("orders").version("13.16").create().await?.wait_ready().await?;
    // A replica may see the Ready database somewhat later than the test does.
    let to = |version: &str| ns.upgrade("up").database("orders").to(version).field("apply", json!("Always"));
    AdmissionLoad::start(ns, &to("17.11"), &to("18.6"))
}

/// Replaces all pods of the webhook, and waits until the old ones are deleted: they answer until then.
async fn restart(cluster: &Cluster) -> anyhow::Result<()> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), &cluster.system);
    for deployment in deployments.list(&ListParams::default().labels(WEBHOOK)).await? {
        let name = format!("deployment/{}", deployment.name_any());
        let old = pods(cluster).await?;
        kubectl(&["-n", &cluster.system, "rollout", "restart", &name], None).await?.succeeded()?;
        kubectl(&["-n", &cluster.system, "rollout", "status", &name, "--timeout=5m"], None)
            .await?
            .succeeded()?;
        let mut wait = vec!["-n", &cluster.system, "wait", "pod", "--for=delete", "--timeout=2m"];
        wait.extend(old.iter().map(String::as_str));
        kubectl(&wait, None).await?.succeeded()?;
    }
    Ok(())
}

async fn pods(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let found = pods.list(&ListParams::default().labels(WEBHOOK)).await?;
    ensure!(!found.items.is_empty(), "the webhook has no pods");
    Ok(found.iter().map(ResourceExt::name_any).collect())
}
