//! Upgrades whose helpers are killed or whose request vanishes.

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::wait::{await_condition, conditions};
use pgops_api::names;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, Kill, KillPoint, Node, UpgradeObserver, Victim};
use pgops_e2e::{
    Cluster, DataSet, Database, Fingerprint, Namespace, UpgradeRequest, assert_untouched, assert_upgraded,
    with_namespace,
};

/// A database of that version, what it holds, and its upgrade to 17.
async fn begin(
    ns: &Namespace,
    version: &str,
    data: DataSet,
) -> anyhow::Result<(Database, Fingerprint, UpgradeRequest)> {
    let orders = ns.postgres("orders").version(version).filled_with(&[data]).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
    Ok((orders, before, upgrade))
}

/// Both inside the outage: before `pg_upgrade`, and once it has run.
#[rstest::rstest]
#[case::while_pg_upgrade_runs(Step::PgUpgraded)]
#[case::once_the_new_server_may_start(Step::StartDatabase)]
#[tokio::test]
async fn runner_killed_once_still_completes(#[case] step: Step) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = begin(ns, "13.16", DataSet::Kept).await?;
        upgrade.wait_step(step).await?;
        upgrade.kill_runner().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// The node that the database's next pod is tied to.
async fn tied_to(ns: &Namespace) -> anyhow::Result<Option<String>> {
    let workload = ns.api::<StatefulSet>().get("orders").await?;
    let pod = workload.spec.and_then(|spec| spec.template.spec);
    let nodes = pod.and_then(|pod| pod.affinity?.node_affinity);
    let terms = nodes.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution);
    let terms = terms.map(|terms| terms.node_selector_terms).unwrap_or_default();
    let mut fields = terms.into_iter().flat_map(|term| term.match_fields.unwrap_or_default());
    Ok(fields.find(|field| field.key == "metadata.name").and_then(|field| field.values?.pop()))
}

/// Whether the Service leads to a pod that is not ready.
async fn leads_early(ns: &Namespace) -> anyhow::Result<bool> {
    let service = ns.api::<Service>().get("orders").await?;
    Ok(service.spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or_default())
}

/// SIGKILL, right when the journal says so; `make matrix` does it at every record and stage.
#[tokio::test]
async fn worker_killed_at_records_of_the_journal_does_nothing_twice() -> anyhow::Result<()> {
    if let Err(elsewhere) = Node::local() {
        eprintln!("--- NOT TRIED: {elsewhere:#}");
        return Ok(());
    }
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("15.20").filled_with(&[DataSet::Kept]).await?;
        let before = orders.fingerprint().await?;
        let upgrade = ns.upgrade("orders-18").database("orders").to("18.6");
        let upgrade = upgrade.annotation(names::ANNOTATION_TRANSFER_MODE, "link").create().await?;
        let mut observer = UpgradeObserver::start(&orders, &upgrade).await?;
        let kills = [
            Kill { at: KillPoint::Record(Step::PgUpgraded, Event::Started), of: Victim::Runner },
            Kill {
                at: KillPoint::Record(Step::ReplacedDataDirectory, Event::Succeeded),
                of: Victim::Container,
            },
            Kill { at: KillPoint::Record(Step::StartDatabase, Event::Started), of: Victim::Runner },
        ];
        let node = ns.api::<Pod>().get("orders-0").await?.spec.and_then(|spec| spec.node_name);
        for (number, kill) in kills.into_iter().enumerate() {
            observer.kill(kill).await?;
            if number == 0 {
                ensure!(tied_to(ns).await? == node, "the pod may start where its volume is not");
                ensure!(leads_early(ns).await?, "clients wait for the kubelet's word");
            }
        }
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(tied_to(ns).await?.is_none(), "the pod is still tied to a node");
        ensure!(!leads_early(ns).await?, "the Service leads to pods that end");
        observer.assert_done_once(kills.len()).await
    })
    .await
}

/// The launcher's leader goes while the Job runs; the other replica takes over and sees the end.
#[tokio::test]
async fn webhook_killed_while_the_job_runs_changes_nothing() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = begin(ns, "15.18", DataSet::Contrib).await?;
        upgrade.wait_step(Step::Preflight).await?;
        kill_leader(ns.cluster()).await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// Deletes the pod that holds the launcher's lease, and waits until all replicas are back.
async fn kill_leader(cluster: &Cluster) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), &cluster.system);
    let names: Vec<String> =
        pods.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
    let holders = leases.list(&ListParams::default()).await?;
    let mut holders = holders.iter().filter_map(|lease| lease.spec.as_ref()?.holder_identity.as_deref());
    let leader = holders.find_map(|holder| {
        names.iter().find(|name| name.contains("webhook") && holder.contains(name.as_str()))
    });
    let leader =
        leader.with_context(|| format!("no pod of the webhook holds a lease in {}", cluster.system))?;
    pods.delete(leader, &DeleteParams::default()).await?;
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), &cluster.system);
    for deployment in deployments.list(&ListParams::default()).await? {
        let name = deployment.name_any();
        let complete =
            Box::pin(await_condition(deployments.clone(), &name, conditions::is_deployment_completed()));
        tokio::time::timeout(std::time::Duration::from_mins(2), complete)
            .await
            .context("a deployment is stuck")??;
    }
    Ok(())
}

#[tokio::test]
async fn request_deleted_at_once_leaves_the_database_alone() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = begin(ns, "13.16", DataSet::Kept).await?;
        upgrade.delete().await?;
        assert_untouched(&orders, "13.16", &before).await?;
        // The garbage collector removes what the request owned.
        for job in ns.api::<Job>().list(&ListParams::default()).await? {
            let gone = |found: Option<&Job>| found.is_none();
            let minute = std::time::Duration::from_mins(1);
            pgops_e2e::wait_for(&ns.api::<Job>(), &job.name_any(), "the end", minute, gone).await?;
        }
        let selector = format!("{}={}", names::LABEL_REQUEST, upgrade.name());
        let left = ns.api::<Job>().list(&ListParams::default().labels(&selector)).await?;
        ensure!(left.items.is_empty(), "a Job was made for a request that is gone");
        assert_untouched(&orders, "13.16", &before).await?;
        // And the next request is not held up by the one that went.
        let upgrade = ns.upgrade("again").database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// Its owner thinks better of it while `pg_upgrade` works: the old version serves again.
#[tokio::test]
async fn request_cancelled_while_pg_upgrade_runs_is_taken_back() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = begin(ns, "15.18", DataSet::Contrib).await?;
        upgrade.wait_step(Step::PgUpgraded).await?;
        let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
        ns.kubectl(&["annotate", "pgops", "orders-17", &annotation], None).await?.succeeded()?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "Cancelled" && message.contains(names::ANNOTATION_CANCEL), "{reason}: {message}");
        ensure!(!leads_early(ns).await?, "the Service leads to pods that end");
        assert_untouched(&orders, "15.18", &before).await
    })
    .await
}

/// The Job is lost in the middle of the outage, and a person says that it may go on.
#[tokio::test]
async fn request_whose_job_was_lost_carries_on_when_it_is_told_to() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = begin(ns, "13.16", DataSet::Kept).await?;
        upgrade.wait_step(Step::PgUpgraded).await?;
        upgrade.expire_job().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        let how = format!("kubectl annotate pgops orders-17 -n {} pgops.dev/carry-on=true", ns.name());
        ensure!(reason == "JobFailed" && message.contains(&how), "{reason}: {message}");
        let paused = orders.object().await?.paused().is_some();
        ensure!(paused, "the database is not paused, though nobody has brought it back");
        upgrade.resume().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}
