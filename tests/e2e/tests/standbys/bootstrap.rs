//! The first start of a database with standbys.

use anyhow::ensure;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use pgops_api::members::MemberRole;
use pgops_api::names;
use pgops_e2e::{Database, Namespace, eventually, with_namespace};

use crate::scenario::{SOON, three_servers, wait_quorum};

#[tokio::test]
async fn three_servers_stream_and_are_told_apart() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = three_servers(ns).await?;
        let object = orders.object().await?;
        let members = object.status.and_then(|status| status.members).unwrap_or_default();
        let roles: Vec<_> = members.iter().map(|member| (member.role, member.ready)).collect();
        let count = |role| roles.iter().filter(|found| **found == (Some(role), true)).count();
        ensure!(count(MemberRole::Primary) == 1 && count(MemberRole::Standby) == 2, "status: {members:?}");

        wait_quorum(&orders).await?;
        ensure_rows_reach_standbys(&orders).await?;
        ensure_services_select_by_role(ns, &orders).await?;
        ensure_only_the_proxy_has_a_token(ns).await
    })
    .await
}

async fn ensure_rows_reach_standbys(orders: &Database) -> anyhow::Result<()> {
    orders.sql("postgres", "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id").await?;
    for standby in orders.standbys().await? {
        eventually("the rows on a standby", SOON, async || {
            let query = "SELECT count(*) FROM kept WHERE pg_is_in_recovery()";
            let rows = orders.value_on(&standby, query).await?;
            ensure!(rows == "1000", "{standby} has {rows} rows");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

async fn ensure_services_select_by_role(ns: &Namespace, orders: &Database) -> anyhow::Result<()> {
    for (service, role) in
        [("orders", names::ROLE_PRIMARY), (&*names::standby_service("orders"), names::ROLE_STANDBY)]
    {
        let found = ns.api::<Service>().get(service).await?;
        let selector = found.spec.and_then(|spec| spec.selector).unwrap_or_default();
        ensure!(
            selector.get(names::LABEL_ROLE).map(String::as_str) == Some(role),
            "{service} selects {selector:?}"
        );
    }
    ensure!(orders.value("SELECT pg_is_in_recovery()").await? == "f", "the primary is in recovery");
    Ok(())
}

/// The superuser of a database reads whatever its container can read.
async fn ensure_only_the_proxy_has_a_token(ns: &Namespace) -> anyhow::Result<()> {
    let selector = format!("{}=orders", names::LABEL_INSTANCE);
    let pods = ns.api::<Pod>().list(&ListParams::default().labels(&selector)).await?.items;
    ensure!(pods.len() == 3, "{} pods", pods.len());
    for pod in pods {
        let spec = pod.spec.unwrap_or_default();
        let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        let with_token: Vec<_> = containers
            .filter(|container| {
                let mut mounts = container.volume_mounts.iter().flatten();
                mounts.any(|mount| mount.mount_path.starts_with("/var/run/secrets/kubernetes.io"))
            })
            .map(|container| container.name.as_str())
            .collect();
        ensure!(with_token == [names::CONTAINER_PATRONI_PROXY], "a token is mounted into {with_token:?}");
    }
    Ok(())
}
