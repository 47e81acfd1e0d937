//! Failures of the cluster itself. These disturb concurrent tests, so they run alone.

use std::time::Duration;

use pgops_api::members::MemberRole;
use pgops_e2e::fault_injection::{Node, ServerPart, Stopped};
use pgops_e2e::{Database, with_namespace};

use crate::faults::{Promise, Trial, kill, uid_of};
use crate::scenario::three_servers;

/// Longer than the lock's time to live, and shorter than what makes Kubernetes take a node for lost.
const DOWNTIME: Duration = Duration::from_secs(35);

/// All servers lead or follow as long as they reach each other. One that is killed meanwhile ends that: the database takes no
/// writes until the API server answers again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "in make test-all only: stops the API server"]
async fn database_survives_a_frozen_api_server() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let mut trial = Trial::start(three_servers(ns).await?).await?;
        for killed in [None, Some(MemberRole::Standby), Some(MemberRole::Primary)] {
            let freeze = async |orders: &Database, pod: &str| {
                let uid = uid_of(orders, pod).await?;
                let frozen = Stopped::stop(Node::local()?.component("kube-apiserver")?)?;
                if killed.is_some() {
                    kill(&uid, ServerPart::Postmaster)?;
                }
                tokio::time::sleep(DOWNTIME).await;
                drop(frozen);
                anyhow::Ok(())
            };
            let what = format!("Frozen API server, killed meanwhile: {killed:?}");
            let role = killed.unwrap_or(MemberRole::Primary);
            trial.survive_by(&what, Promise::OnePrimary, role, freeze).await?;
        }
        trial.end().await
    })
    .await
}
