//! Faults of one server.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use pgops_api::names;
use pgops_e2e::Database;
use pgops_e2e::fault_injection::{CpuQuota, Partition, ServerPart, Stopped};
use rustix::process::Signal;
use tokio::time::sleep;

use super::promise::Promise;

/// What happens to a server.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// SIGKILL.
    Kill(ServerPart),
    /// Its pod is deleted by force: the next one may be created while it still runs.
    DeletePod,
    /// SIGSTOP, and SIGCONT after that many seconds.
    Freeze(&'static [ServerPart], u16),
    /// No packet passes between its pod and others for that many seconds.
    Isolate(Peers, u16),
    /// Each container of its pod has 5 % of a core for that many seconds.
    StarveCpu(u16),
}

/// Whom a pod does not reach, and who does not reach it.
#[derive(Clone, Copy, Debug)]
pub enum Peers {
    ApiServer,
    OtherServers,
    ApiServerAndOtherServers,
    /// But its own node.
    Everything,
}

/// All kills of processes, containers and pods.
pub const KILLS: [Fault; 7] = [
    Fault::Kill(ServerPart::Postmaster),
    Fault::Kill(ServerPart::Patroni),
    Fault::Kill(ServerPart::Instance),
    Fault::Kill(ServerPart::Proxy),
    Fault::Kill(ServerPart::Container),
    Fault::Kill(ServerPart::Pod),
    Fault::DeletePod,
];

/// Longer than the lock's time to live.
pub const ISOLATIONS: [Fault; 4] = [
    Fault::Isolate(Peers::ApiServer, 35),
    Fault::Isolate(Peers::OtherServers, 35),
    Fault::Isolate(Peers::ApiServerAndOtherServers, 35),
    Fault::Isolate(Peers::Everything, 35),
];

const FROZEN: [&[ServerPart]; 8] = [
    &[ServerPart::Postmaster],
    &[ServerPart::Patroni],
    &[ServerPart::Instance],
    &[ServerPart::Proxy],
    &[ServerPart::Container],
    &[ServerPart::Pod],
    &[ServerPart::Patroni, ServerPart::Postmaster],
    &[ServerPart::Patroni, ServerPart::Instance],
];

/// All freezes of that many seconds that lose nothing.
pub fn freezes(seconds: u16) -> impl Iterator<Item = Fault> {
    let all = FROZEN.into_iter().map(move |parts| Fault::Freeze(parts, seconds));
    all.filter(|fault| fault.promise() != Promise::RecoveryOnly)
}

impl Fault {
    /// What must hold nevertheless.
    pub fn promise(self) -> Promise {
        match self {
            Self::Freeze(parts, seconds) => Promise::of_frozen(parts, seconds),
            _ => Promise::OnePrimary,
        }
    }

    /// Injects it into the server of this pod; returns once it is over.
    pub async fn inject(self, orders: &Database, pod: &str) -> anyhow::Result<()> {
        let uid = uid_of(orders, pod).await?;
        match self {
            Self::Kill(part) => kill(&uid, part)?,
            Self::DeletePod => {
                let by_force = DeleteParams::default().grace_period(0);
                orders.namespace().api::<Pod>().delete(pod, &by_force).await?;
            }
            Self::Freeze(parts, seconds) => {
                for part in parts {
                    ensure!(!part.processes(&uid).is_empty(), "{part:?} is not running in {pod}");
                }
                let find = || parts.iter().flat_map(|part| part.processes(&uid)).collect();
                let frozen = Stopped::stop_all(find)?;
                wait(seconds).await;
                drop(frozen);
            }
            Self::Isolate(from, seconds) => {
                let partition = isolate(orders, pod, &uid, from).await?;
                wait(seconds).await;
                drop(partition);
            }
            Self::StarveCpu(seconds) => {
                let quota = CpuQuota::of_pod(&uid, 5)?;
                wait(seconds).await;
                drop(quota);
            }
        }
        Ok(())
    }
}

async fn wait(seconds: u16) {
    sleep(Duration::from_secs(seconds.into())).await;
}

/// The uid of a pod, by which its processes are found.
pub async fn uid_of(orders: &Database, pod: &str) -> anyhow::Result<String> {
    orders.namespace().api::<Pod>().get(pod).await?.uid().context("the pod has no uid")
}

/// Kills a part of the server in the pod with this uid.
pub fn kill(uid: &str, part: ServerPart) -> anyhow::Result<()> {
    let processes = part.processes(uid);
    ensure!(!processes.is_empty(), "{part:?} is not running");
    for process in processes {
        // It may have ended with another one.
        let _ = process.signal(Signal::KILL);
    }
    Ok(())
}

async fn isolate(orders: &Database, pod: &str, uid: &str, from: Peers) -> anyhow::Result<Partition> {
    let pods = orders.namespace().api::<Pod>();
    let own = address(&pods.get(pod).await?)?;
    let mut addresses = Vec::new();
    if matches!(from, Peers::ApiServer | Peers::ApiServerAndOtherServers) {
        // Where Patroni's proxy sends its requests.
        let services = Api::<Service>::namespaced(orders.namespace().cluster().client.clone(), "default");
        let found = services.get("kubernetes").await?.spec.and_then(|spec| spec.cluster_ips);
        for text in found.context("the API server has no Service")? {
            addresses.push(text.parse::<IpAddr>()?);
        }
    }
    if matches!(from, Peers::OtherServers | Peers::ApiServerAndOtherServers) {
        let selector = format!("{}={}", names::LABEL_INSTANCE, orders.name());
        let all = pods.list(&ListParams::default().labels(&selector)).await?;
        for other in all.items.iter().filter(|other| other.name_any() != pod) {
            addresses.push(address(other)?);
        }
    }
    addresses.retain(|address| address.is_ipv6() == own.is_ipv6());
    match from {
        Peers::Everything => Partition::from_everything(uid, own),
        _ => Partition::from_addresses(uid, &addresses),
    }
}

fn address(pod: &Pod) -> anyhow::Result<IpAddr> {
    let text = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
    let text = text.with_context(|| format!("{} has no address", pod.name_any()))?;
    Ok(text.parse()?)
}
