//! The proof that nothing is lost: kills at every record and every stage of upgrades, and injected faults.
//!
//! It takes long, and needs the project's own test cluster: `make test-all` runs it. One case alone:
//! `tests/cluster/exec cargo test -p pgops-e2e --test chaos -- records::case --nocapture`.

mod alone;
mod faults;
mod minor;
mod records;
mod rollback;
mod space;
mod stages;

use std::time::Duration;

use anyhow::ensure;
use pgops_api::names::ANNOTATION_TRANSFER_MODE;
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Step;
use pgops_e2e::fault_injection::{Event, Kill, KillPoint, UpgradeObserver, Victim};
use pgops_e2e::{
    Database, DatabaseBuilder, Fingerprint, Namespace, UpgradeRequest, UpgradeRequestBuilder,
    assert_untouched, assert_upgraded, assert_upgraded_allowing_restarts, counts, with_namespace,
};

/// A major upgrade of the matrix: the versions differ with the mode, so that more of them are tried.
#[derive(Clone, Copy, Debug)]
enum Major {
    Copy,
    Link,
}

impl Major {
    fn from(self) -> &'static str {
        match self {
            Self::Copy => "13.16",
            Self::Link => "15.20",
        }
    }

    fn upgrade(self, ns: &Namespace) -> UpgradeRequestBuilder {
        let (to, mode) = match self {
            Self::Copy => ("17.11", "copy"),
            Self::Link => ("18.6", "link"),
        };
        ns.upgrade("up").database("orders").to(to).annotation(ANNOTATION_TRANSFER_MODE, mode)
    }
}

/// A small database in which every step finds something to do.
async fn orders(ns: &Namespace, version: &str) -> anyhow::Result<Database> {
    fill(ns.postgres("orders").version(version)).await
}

async fn fill(orders: DatabaseBuilder) -> anyhow::Result<Database> {
    let orders = orders.initdb("--locale=en_US.UTF-8 --encoding=UTF8").ready().await?;
    orders
        .sql(
            "postgres",
            "CREATE ROLE clerk LOGIN PASSWORD 'x';
             CREATE EXTENSION pg_stat_statements;
             CREATE TABLE kept (id serial PRIMARY KEY, name text, amount numeric);
             INSERT INTO kept (name, amount) SELECT md5(g::text), g / 7.0 FROM generate_series(1, 20000) g;
             CREATE INDEX kept_name ON kept (name);
             GRANT SELECT ON kept TO clerk;
             CREATE VIEW large AS SELECT * FROM kept WHERE amount > 1000;
             SELECT lo_from_bytea(0, 'a large object')",
        )
        .await?;
    Ok(orders)
}

/// An upgrade that has begun.
struct StartedUpgrade {
    orders: Database,
    /// What it held before.
    before: Fingerprint,
    upgrade: UpgradeRequest,
    observer: UpgradeObserver,
}

impl StartedUpgrade {
    async fn new(ns: &Namespace, major: Major) -> anyhow::Result<Self> {
        let orders = orders(ns, major.from()).await?;
        let before = orders.fingerprint().await?;
        let upgrade = major.upgrade(ns).create().await?;
        let observer = UpgradeObserver::start(&orders, &upgrade).await?;
        Ok(Self { orders, before, upgrade, observer })
    }
}

/// An upgrade that succeeds although `fault` does what it does to it.
async fn survives(
    major: Major,
    fault: impl AsyncFnOnce(&UpgradeObserver, &Namespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, observer } = StartedUpgrade::new(ns, major).await?;
        fault(&observer, ns).await?;
        assert_upgraded(&orders, &upgrade, &before).await?;
        observer.assert_done_once(0).await?;
        counts::add("faults", 1)
    })
    .await
}

/// Kills the worker of a major upgrade again and again; the upgrade succeeds, and nothing is lost or done twice.
async fn upgrade_under_kills(major: Major, kills: &[Kill]) -> anyhow::Result<()> {
    kill_and_see(major, kills, async |_| Ok(())).await
}

/// The same, with a further look at the end.
async fn kill_and_see(
    major: Major,
    kills: &[Kill],
    look: impl AsyncFnOnce(&UpgradeObserver) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let StartedUpgrade { orders, before, upgrade, mut observer } = StartedUpgrade::new(ns, major).await?;
        for kill in kills {
            observer.kill(*kill).await?;
        }
        assert_upgraded(&orders, &upgrade, &before).await?;
        observer.assert_done_once(kills.len()).await?;
        look(&observer).await
    })
    .await
}

/// The moments, killing the two victims in turn.
fn in_turn(moments: impl IntoIterator<Item = KillPoint>, first: Victim) -> Vec<Kill> {
    let second = if first == Victim::Runner { Victim::Container } else { Victim::Runner };
    moments.into_iter().zip([first, second].into_iter().cycle()).map(|(at, of)| Kill { at, of }).collect()
}

/// Waits for the end of an upgrade that may well fail: the database has the new version or the old one, whole.
async fn whole_either_way(
    orders: &Database,
    upgrade: &UpgradeRequest,
    from: &str,
    before: &Fingerprint,
) -> anyhow::Result<()> {
    if upgrade.wait_ended().await? == Phase::Successful {
        return assert_upgraded(orders, upgrade, before).await;
    }
    let (reason, message) = upgrade.wait_failed().await?;
    eprintln!("--- {reason}: {message}");
    assert_untouched(orders, from, before).await
}
