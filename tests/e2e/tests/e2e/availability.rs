//! Admission goes on whatever happens to the webhook.

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

const MINUTES: Duration = Duration::from_mins(2);

/// The webhook's pods.
const WEBHOOK: &str = "app.kubernetes.io/name=pgops,app.kubernetes.io/component=webhook";

#[tokio::test]
async fn a_rolling_restart_loses_no_admission() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let load = load(ns).await?;
        let restarted = restart(ns.cluster()).await;
        let tally = load.stop().await?;
        restarted?;
        ensure!(tally.answered > 1000, "hardly anything was asked meanwhile: {tally:?}");
        Ok(())
    })
    .await
}

/// Another authority is announced, signs, and is served by every replica.
#[tokio::test]
async fn a_rotation_of_the_authority_loses_no_admission() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let load = load(ns).await?;
        let rotated = rotate(ns.cluster()).await;
        let tally = load.stop().await?;
        rotated?;
        ensure!(tally.answered > 1000, "hardly anything was asked meanwhile: {tally:?}");
        Ok(())
    })
    .await
}

/// Asks for another authority, and waits until every replica serves a certificate that it signed.
async fn rotate(cluster: &Cluster) -> anyhow::Result<()> {
    let secrets = Api::<Secret>::namespaced(cluster.client.clone(), &cluster.system);
    let all = secrets.list(&ListParams::default().labels(WEBHOOK)).await?.items;
    let before = all.into_iter().next().context("the webhook has no Secret with an authority")?;
    let name = before.name_any();
    let value = |secret: &Secret, key: &str| secret.data.as_ref().and_then(|data| data.get(key)).cloned();
    let first = value(&before, "ca.crt").context("the Secret has no authority")?;

    let end = wait_for_ends(cluster, "the end of the authority from every replica", |_| true).await?;

    let asked = json!({"metadata": {"annotations": {"pgops.dev/rotate-authority": "a test asks"}}});
    secrets.patch(&name, &PatchParams::default(), &Patch::Merge(asked)).await?;
    let signs = |found: Option<&Secret>| {
        found.is_some_and(|secret| {
            value(secret, "ca.crt").as_ref() != Some(&first) && value(secret, "next.crt").is_none()
        })
    };
    let after = wait_for(&secrets, &name, "another authority that signs", MINUTES, signs).await?;
    let after = after.context("the Secret is gone")?;
    let previous =
        value(&after, "previous.crt").context("the authority of before is not trusted any more")?;
    ensure!(contains(&previous, &first), "another one than that of before is trusted still");
    let both = [first, value(&after, "ca.crt").context("it is empty")?];
    let configurations = Api::<ValidatingWebhookConfiguration>::all(cluster.client.clone());
    for configuration in configurations.list(&ListParams::default().labels(WEBHOOK)).await? {
        for hook in configuration.webhooks.iter().flatten() {
            let bundle = hook.client_config.ca_bundle.as_ref().context("a webhook has no caBundle")?;
            ensure!(both.iter().all(|one| contains(bundle, one)), "{} does not trust both", hook.name);
        }
    }
    let what = "a certificate of the new authority from every replica";
    wait_for_ends(cluster, what, |ends| ends.iter().all(|it| !end.contains(it))).await?;
    Ok(())
}

/// Waits until what every replica tells is so. Tests beside this one may replace pods meanwhile, and one that
/// is gone, or that has no address yet, tells nothing.
async fn wait_for_ends(
    cluster: &Cluster,
    what: &str,
    is_so: impl Fn(&[String]) -> bool,
) -> anyhow::Result<Vec<String>> {
    let told = async {
        loop {
            match authority_ends(cluster).await {
                Ok(ends) if is_so(&ends) => return ends,
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    };
    tokio::time::timeout(MINUTES, told).await.with_context(|| format!("timed out waiting for {what}"))
}

fn contains(bundle: &ByteString, certificate: &ByteString) -> bool {
    String::from_utf8_lossy(&bundle.0).contains(String::from_utf8_lossy(&certificate.0).trim())
}

/// When the authorities end whose certificates the replicas serve, as their metrics tell.
async fn authority_ends(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let mut ends = Vec::new();
    for pod in pods(cluster).await? {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:8080/proxy/metrics", cluster.system);
        let text = kubectl(&["get", "--raw", &path], None).await?.succeeded()?.stdout;
        let tells = |line: &&str| line.contains("expiry") && line.contains("certificate=\"authority\"");
        let line = text.lines().find(tells);
        ends.push(
            line.with_context(|| format!("{pod} does not tell when its authority ends: {text}"))?.to_owned(),
        );
    }
    Ok(ends)
}

/// One request that is admitted and one that is refused.
async fn load(ns: &Namespace) -> anyhow::Result<AdmissionLoad> {
    ns.postgres("orders").version("13.16").create().await?.wait_ready().await?;
    // A replica may hear a moment later than we do that the database is Ready.
    let to = |version: &str| ns.upgrade("up").database("orders").to(version).field("apply", json!("Always"));
    AdmissionLoad::start(ns, &to("17.11"), &to("18.6"))
}

/// Replaces all pods of the webhook, and waits until the old ones are gone too: they answer until then.
async fn restart(cluster: &Cluster) -> anyhow::Result<()> {
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), &cluster.system);
    for deployment in deployments.list(&ListParams::default().labels(WEBHOOK)).await? {
        let name = format!("deployment/{}", deployment.name_any());
        let old = pods(cluster).await?;
        kubectl(&["-n", &cluster.system, "rollout", "restart", &name], None).await?.succeeded()?;
        kubectl(&["-n", &cluster.system, "rollout", "status", &name, "--timeout=5m"], None)
            .await?
            .succeeded()?;
        let mut gone = vec!["-n", &cluster.system, "wait", "pod", "--for=delete", "--timeout=2m"];
        gone.extend(old.iter().map(String::as_str));
        kubectl(&gone, None).await?.succeeded()?;
    }
    Ok(())
}

async fn pods(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let found = pods.list(&ListParams::default().labels(WEBHOOK)).await?;
    ensure!(!found.items.is_empty(), "the webhook has no pods");
    Ok(found.iter().map(ResourceExt::name_any).collect())
}
