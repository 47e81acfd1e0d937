//! A database that faults are injected into, and those who watch it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pgops_api::members::MemberRole;
use pgops_e2e::fault_injection::Node;
use pgops_e2e::probe::Probe;
use pgops_e2e::watcher::Watcher;
use pgops_e2e::{Database, counts, eventually, with_namespace};
use tokio::time::timeout;

use super::fault::Fault;
use super::promise::Promise;
use crate::scenario::{SOON, three_servers, wait_quorum};

/// Within this time everything is as before. The kubelet waits longer with each restart of a container, up to five minutes.
const RECOVERY: Duration = Duration::from_mins(6);
const WRITE_INTERVAL: Duration = Duration::from_millis(10);
/// Only faults run whose printed name contains the value of this variable.
const FILTER: &str = "PGOPS_E2E_FAULT";

/// A database of three servers, a client that writes, and one that watches all servers.
pub struct Trial {
    orders: Database,
    watcher: Watcher,
    probe: Probe,
}

impl Trial {
    pub async fn start(orders: Database) -> anyhow::Result<Self> {
        // Otherwise there are no processes to act on.
        Node::local()?;
        let probe = Probe::start_every(&orders, WRITE_INTERVAL).await?;
        let watcher = Watcher::start(&orders).await?;
        Ok(Self { orders, watcher, probe })
    }

    /// Injects a fault into the server with this role; fails if the database does not keep its promise.
    pub async fn survive(&mut self, fault: Fault, role: MemberRole) -> anyhow::Result<()> {
        let inject = async |orders: &Database, pod: &str| fault.inject(orders, pod).await;
        self.survive_by(&format!("{fault:?}"), fault.promise(), role, inject).await
    }

    /// The same, for a fault that is not only about one server.
    pub async fn survive_by(
        &mut self,
        what: &str,
        promise: Promise,
        role: MemberRole,
        inject: impl AsyncFnOnce(&Database, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if std::env::var(FILTER).is_ok_and(|filter| !what.contains(&filter)) {
            return Ok(());
        }
        self.orders.wait_streaming().await?;
        wait_quorum(&self.orders).await?;
        let pod = match role {
            MemberRole::Primary => self.orders.primary().await?,
            MemberRole::Standby => self.orders.standbys().await?.pop().context("no standby")?,
        };
        let what = format!("{what} of the {role:?} {pod}");
        println!("--- {what}");
        let injected = Box::pin(inject(&self.orders, &pod)).await;
        let recovered = match injected {
            Ok(()) => Box::pin(self.recover(promise)).await,
            failed => failed,
        };
        recovered.context(what)?;
        counts::add("faults", 1)
    }

    async fn recover(&mut self, promise: Promise) -> anyhow::Result<()> {
        let start = Instant::now();
        let recovered = timeout(RECOVERY, Box::pin(recovered(&self.orders))).await;
        recovered.with_context(|| format!("the database has not recovered after {RECOVERY:?}"))??;
        let seconds = start.elapsed().as_secs();
        let answers = self.watcher.answers().await?;
        let gap = answers.longest_gap().as_millis();
        println!("    {gap} ms without a write, recovered {seconds} s after the end of the fault");
        let (primaries, writers) = (answers.two_primaries(), answers.two_writers());
        if !primaries.is_empty() {
            println!("    out of recovery at once: {primaries:?}");
        }
        ensure!(
            promise != Promise::OnePrimary || primaries.is_empty(),
            "two servers were out of recovery at once: {primaries:?}"
        );
        if promise == Promise::RecoveryOnly {
            println!("    acknowledged writes at once: {writers:?}");
            return Ok(());
        }
        ensure!(writers.is_empty(), "two servers acknowledged writes at once: {writers:?}");
        self.watcher.ensure_kept(&answers).await
    }

    /// Stops the client; fails if one of its acknowledged rows is missing.
    pub async fn end(self) -> anyhow::Result<()> {
        let summary = self.probe.stop().await?;
        let (rows, gap) = (summary.acknowledged, summary.longest_gap_milliseconds);
        println!("--- {rows} rows acknowledged, longest gap {gap} ms");
        Ok(())
    }
}

/// One primary, two standbys that stream, and no server that says something else.
async fn recovered(orders: &Database) -> anyhow::Result<()> {
    orders.wait_streaming().await?;
    let query = "SELECT pg_is_in_recovery()";
    eventually("one primary", SOON, async || {
        let primary = orders.primary().await?;
        ensure!(orders.value_on(&primary, query).await? == "f", "{primary} is in recovery");
        for standby in orders.standbys().await? {
            ensure!(orders.value_on(&standby, query).await? == "t", "{standby} is out of recovery");
        }
        Ok(())
    })
    .await
}

/// A database that survives these faults, one after the other.
pub async fn assert_survives(faults: &[(Fault, MemberRole)]) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let mut trial = Trial::start(three_servers(ns).await?).await?;
        for (fault, role) in faults {
            trial.survive(*fault, *role).await?;
        }
        trial.end().await
    })
    .await
}
