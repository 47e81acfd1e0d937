//! Upgrades whose runner or launcher is killed, or whose request is cancelled or deleted.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use kube::runtime::wait::{Condition, conditions};
use pgops_api::names;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, Kill, KillPoint, Node, UpgradeObserver, Victim};
use pgops_e2e::{
    Cluster, DataSet, Database, Fingerprint, Namespace, UpgradeRequest, assert_untouched, assert_upgraded,
    wait_for, with_namespace,
};

/// A database of this version, its content, and its upgrade to 17.
async fn start_upgrade(
    ns: &Namespace,
    version: &str,
    data: DataSet,
) -> anyhow::Result<(Database, Fingerprint, UpgradeRequest)> {
    let orders = ns.postgres("orders").version(version).filled_with(&[data]).await?;
    let before = orders.fingerprint().await?;
    let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
    Ok((orders, before, upgrade))
}

/// Both during the outage: before `pg_upgrade`, and after it.
#[rstest::rstest]
#[case::while_pg_upgrade_runs(Step::PgUpgraded)]
#[case::once_the_new_server_may_start(Step::StartDatabase)]
#[tokio::test]
async fn runner_killed_once_still_completes(#[case] step: Step) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start_upgrade(ns, "13.16", DataSet::Kept).await?;
        upgrade.wait_step(step).await?;
        upgrade.kill_runner().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// The node that the database's next pod requires.
async fn required_node(ns: &Namespace) -> anyhow::Result<Option<String>> {
    let workload = ns.api::<StatefulSet>().get("orders").await?;
    let pod = workload.spec.and_then(|spec| spec.template.spec);
    let nodes = pod.and_then(|pod| pod.affinity?.node_affinity);
    let terms = nodes.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution);
    let terms = terms.map(|terms| terms.node_selector_terms).unwrap_or_default();
    let mut fields = terms.into_iter().flat_map(|term| term.match_fields.unwrap_or_default());
    Ok(fields.find(|field| field.key == "metadata.name").and_then(|field| field.values?.pop()))
}

/// Whether the Service publishes addresses of pods that are not ready.
async fn publishes_not_ready_addresses(ns: &Namespace) -> anyhow::Result<bool> {
    let service = ns.api::<Service>().get("orders").await?;
    Ok(service.spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or_default())
}

/// SIGKILL as soon as the journal has the record; `make chaos` does it at every record and stage.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn worker_killed_at_journal_records_does_nothing_twice() -> anyhow::Result<()> {
    if let Err(error) = Node::local() {
        eprintln!("--- SKIPPED: {error:#}");
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
                ensure!(
                    required_node(ns).await? == node,
                    "the pod may be scheduled to a node without its volume"
                );
                ensure!(
                    publishes_not_ready_addresses(ns).await?,
                    "clients must wait for the kubelet's readiness probe"
                );
            }
        }
        assert_upgraded(&orders, &upgrade, &before).await?;
        ensure!(required_node(ns).await?.is_none(), "the pod still requires a node");
        ensure!(
            !publishes_not_ready_addresses(ns).await?,
            "the Service still publishes addresses of pods that are not ready"
        );
        observer.assert_done_once(kills.len()).await
    })
    .await
}

/// The launcher's leader is deleted while the Job runs; the other replica takes over and completes the request.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn launcher_killed_while_job_runs_changes_nothing() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start_upgrade(ns, "15.18", DataSet::Contrib).await?;
        upgrade.wait_step(Step::Preflight).await?;
        kill_leader(ns.cluster()).await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// Deletes the pod that holds the launcher's lease, and waits until all replicas are available.
async fn kill_leader(cluster: &Cluster) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(cluster.client.clone(), &cluster.system);
    let leases = Api::<Lease>::namespaced(cluster.client.clone(), &cluster.system);
    let names: Vec<String> =
        pods.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
    let holders = leases.list(&ListParams::default()).await?;
    let mut holders = holders.iter().filter_map(|lease| lease.spec.as_ref()?.holder_identity.as_deref());
    let leader = holders.find_map(|holder| {
        names.iter().find(|name| name.contains("launcher") && holder.contains(name.as_str()))
    });
    let leader =
        leader.with_context(|| format!("no pod of the launcher holds a lease in {}", cluster.system))?;
    pods.delete(leader, &DeleteParams::default()).await?;
    let deployments = Api::<Deployment>::namespaced(cluster.client.clone(), &cluster.system);
    for deployment in deployments.list(&ListParams::default()).await? {
        let name = deployment.name_any();
        let completed = conditions::is_deployment_completed();
        let is_completed = |found: Option<&Deployment>| completed.matches_object(found);
        wait_for(&deployments, &name, "its completion", Duration::from_mins(2), is_completed).await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn request_deleted_at_once_leaves_database_untouched() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start_upgrade(ns, "13.16", DataSet::Kept).await?;
        upgrade.delete().await?;
        assert_untouched(&orders, "13.16", &before).await?;
        // The garbage collector deletes what the request owned.
        for job in ns.api::<Job>().list(&ListParams::default()).await? {
            let is_deleted = |found: Option<&Job>| found.is_none();
            let minute = Duration::from_mins(1);
            wait_for(&ns.api::<Job>(), &job.name_any(), "the deletion", minute, is_deleted).await?;
        }
        let selector = format!("{}={}", names::LABEL_REQUEST, upgrade.name());
        let left = ns.api::<Job>().list(&ListParams::default().labels(&selector)).await?;
        ensure!(left.items.is_empty(), "a deleted request has a Job");
        assert_untouched(&orders, "13.16", &before).await?;
        // And the deleted request does not block the next one.
        let upgrade = ns.upgrade("again").database("orders").to("13.23").create().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}

/// The user cancels while `pg_upgrade` runs: the old version serves again.
#[tokio::test]
async fn request_cancelled_during_pg_upgrade_is_rolled_back() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start_upgrade(ns, "15.18", DataSet::Contrib).await?;
        upgrade.wait_step(Step::PgUpgraded).await?;
        let annotation = format!("{}=true", names::ANNOTATION_CANCEL);
        ns.kubectl(&["annotate", "pgops", "orders-17", &annotation], None).await?.succeeded()?;
        let (reason, message) = upgrade.wait_failed().await?;
        ensure!(reason == "Cancelled" && message.contains(names::ANNOTATION_CANCEL), "{reason}: {message}");
        ensure!(
            !publishes_not_ready_addresses(ns).await?,
            "the Service still publishes addresses of pods that are not ready"
        );
        assert_untouched(&orders, "15.18", &before).await
    })
    .await
}

/// The Job is lost in the middle of the outage, and an operator resumes the request.
#[tokio::test]
async fn request_with_lost_job_can_be_resumed() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let (orders, before, upgrade) = start_upgrade(ns, "13.16", DataSet::Kept).await?;
        upgrade.wait_step(Step::PgUpgraded).await?;
        upgrade.expire_job().await?;
        let (reason, message) = upgrade.wait_failed().await?;
        let how = format!("kubectl annotate pgops orders-17 -n {} pgops.dev/carry-on=true", ns.name());
        ensure!(reason == "JobFailed" && message.contains(&how), "{reason}: {message}");
        let paused = orders.object().await?.paused().is_some();
        ensure!(paused, "the database is not paused although it does not serve");
        upgrade.resume().await?;
        assert_upgraded(&orders, &upgrade, &before).await
    })
    .await
}
