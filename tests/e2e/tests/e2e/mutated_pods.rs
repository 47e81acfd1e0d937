//! Pods of databases get other images than their StatefulSet has: from a mirror, as admission webhooks rewrite them.
//!
//! The mirror's images are other names of the test images in the node's containerd, and a `MutatingAdmissionPolicy` rewrites: the
//! API server of `tests/cluster` has that feature on.

use std::process::Command;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::names;
use pgops_api::postgres::PostgresPhase;
use pgops_e2e::fault_injection::Node;
use pgops_e2e::{DataSet, Namespace, with_namespace};
use serde_json::json;

const MIRROR: &str = "mirror.pgops.dev";

/// Gives the images of those tags their other names.
fn tag_images(node: &Node, registry: &str, tags: &[&str]) -> anyhow::Result<()> {
    for tag in tags {
        let names = [registry, MIRROR].map(|registry| format!("{registry}/postgres:{tag}"));
        let tagged = Command::new("ctr")
            .args(["--namespace", "k8s.io", "--address"])
            .arg(node.containerd_socket())
            .args(["image", "tag", "--force", &names[0], &names[1]])
            .output()
            .context("failed to run ctr")?;
        ensure!(tagged.status.success(), "ctr: {}", String::from_utf8_lossy(&tagged.stderr));
    }
    Ok(())
}

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
        let registry = ns.cluster().registry.clone();
        tag_images(&node, &registry, tags)?;
        let name = format!("{}-mirror", ns.name());
        ns.accepts(&policy(&name, &registry)).await.context("is MutatingAdmissionPolicy v1beta1 served?")?;
        let result = match ns.accepts(&binding(&name, ns.name())).await {
            Ok(_) => test(ns).await,
            Err(error) => Err(error),
        };
        for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
            ns.kubectl(&["delete", kind, &name, "--ignore-not-found"], None).await?.succeeded()?;
        }
        result
    })
    .await
}

fn policy(name: &str, registry: &str) -> serde_json::Value {
    let expression = format!(
        "Object{{spec: Object.spec{{containers: object.spec.containers.filter(c, c.name == 'postgres').map(c, \
         Object.spec.containers{{name: c.name, image: c.image.replace('{registry}/', '{MIRROR}/')}})}}}}"
    );
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1beta1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": { "name": name },
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": { "resourceRules": [
                { "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"] },
            ]},
            "mutations": [{
                "patchType": "ApplyConfiguration", "applyConfiguration": { "expression": expression },
            }],
        },
    })
}

fn binding(name: &str, namespace: &str) -> serde_json::Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1beta1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": { "name": name },
        "spec": {
            "policyName": name,
            "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } } },
        },
    })
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
        // The policy takes a second or two to have an effect: the pod is replaced until it has one.
        let orders = ns.postgres("orders").version("13.16").filled_with(&[DataSet::Kept]).await?;
        if rewritten_pod(ns).await.is_err() {
            ns.api::<Pod>().delete("orders-0", &kube::api::DeleteParams::default()).await?;
            orders.wait_phase(PostgresPhase::NotReady).await?;
            orders.wait_ready().await?;
        }
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
