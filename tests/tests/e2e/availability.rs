//! Admission goes on whatever happens to the webhook.

use anyhow::ensure;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use pgops_e2e::{AdmissionLoad, Cluster, Namespace, kubectl};

/// The webhook's pods.
const WEBHOOK: &str = "app.kubernetes.io/name=pgops,app.kubernetes.io/component=webhook";

#[tokio::test]
async fn a_rolling_restart_loses_no_admission() -> anyhow::Result<()> {
    let cluster = Cluster::connect().await?;
    cluster
        .with_namespace(async |ns| {
            let load = load(ns).await?;
            let restarted = restart(&cluster).await;
            let tally = load.end().await?;
            restarted?;
            ensure!(tally.answered > 1000, "hardly anything was asked meanwhile: {tally:?}");
            Ok(())
        })
        .await
}

/// One request that is admitted and one that is refused.
async fn load(ns: &Namespace) -> anyhow::Result<AdmissionLoad> {
    ns.postgres("orders").version("13.16").create().await?.wait_ready().await?;
    let to = |version: &str| ns.upgrade("up").database("orders").to(version);
    AdmissionLoad::begin(ns, &to("17.11"), &to("18.6"))
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
        let mut gone = vec!["-n", &cluster.system, "wait", "--for=delete", "--timeout=2m"];
        gone.extend(old.iter().map(String::as_str));
        kubectl(&gone, None).await?.succeeded()?;
    }
    Ok(())
}

async fn pods(cluster: &Cluster) -> anyhow::Result<Vec<String>> {
    let pods = Api::<k8s_openapi::api::core::v1::Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let found = pods.list(&ListParams::default().labels(WEBHOOK)).await?;
    ensure!(!found.items.is_empty(), "the webhook has no pods");
    Ok(found.iter().map(|pod| format!("pod/{}", pod.name_any())).collect())
}
