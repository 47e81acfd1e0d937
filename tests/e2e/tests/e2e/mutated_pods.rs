//! Pods of databases get other images than their StatefulSet has: from a mirror, as admission webhooks rewrite them.

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::names;
use pgops_e2e::fault_injection::Node;
use pgops_e2e::image_rewriting::{ImageRewriting, MIRROR, Rewritten};
use pgops_e2e::{DataSet, Namespace, with_namespace};

/// Runs a test in a namespace whose databases' pods get images of the mirror.
async fn with_rewritten_images(
    tags: &[&str],
    test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let node = match Node::local() {
        Ok(node) => node,
        Err(error) => {
            eprintln!("--- SKIPPED: {error:#}");
            return Ok(());
        }
    };
    with_namespace(async |ns| {
        let rewriting = ImageRewriting::create(&node, ns, tags, Rewritten::Pods).await?;
        let result = test(ns).await;
        rewriting.delete(ns).await?;
        result
    })
    .await
}

/// The pod of the database, which has an image of the mirror.
async fn rewritten_pod(ns: &Namespace) -> anyhow::Result<Pod> {
    let pod = ns.api::<Pod>().get("orders-0").await?;
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let image = containers.filter(|it| it.name == names::CONTAINER_POSTGRES).find_map(|it| it.image.clone());
    let image = image.context("the pod has no container postgres")?;
    ensure!(image.starts_with(MIRROR), "the image {image} was not rewritten: the test proves nothing");
    Ok(pod)
}

#[rstest::rstest]
#[case::minor("13.23")]
#[case::major("17.11")]
#[tokio::test]
async fn database_with_rewritten_images_is_upgraded_with_one_restart(#[case] to: &str) -> anyhow::Result<()> {
    with_rewritten_images(&["13.16", to], async |ns| {
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        let old = rewritten_pod(ns).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-up").database("orders").to(to).create().await?;
        let request = upgrade.wait_successful().await?;
        let outage = request.status.and_then(|status| status.outage).context("status.outage is empty")?;
        let seconds: f64 = outage.strip_suffix('s').and_then(|it| it.parse().ok()).context(outage.clone())?;
        // Each further attempt would take minutes.
        ensure!(seconds < 120.0, "the outage was {outage}");
        ensure!(orders.server_version().await? == to, "the server is {}", orders.server_version().await?);
        before.ensure_same(&orders.fingerprint().await?)?;
        let new = rewritten_pod(ns).await?;
        ensure!(new.uid() != old.uid(), "the pod was not replaced");
        // It is not replaced again after it was verified.
        orders.wait_ready().await?;
        ensure!(rewritten_pod(ns).await?.uid() == new.uid(), "the serving pod was replaced");
        Ok(())
    })
    .await
}
