//! Upgrades that are disturbed, and what must hold afterwards.

use anyhow::bail;
use pgops_api::names::ANNOTATION_TRANSFER_MODE;
use pgops_api::opsrequest::Phase;
use pgops_e2e::fault_injection::{Kill, KillPoint, UpgradeObserver, Victim};
use pgops_e2e::{
    Database, DatabaseBuilder, Fingerprint, Namespace, UpgradeRequest, UpgradeRequestBuilder,
    assert_untouched, assert_upgraded, counts, with_namespace,
};

/// A major upgrade: the versions differ with the transfer mode, so that more of them are covered.
#[derive(Clone, Copy, Debug)]
pub enum Major {
    Copy,
    Link,
}

impl Major {
    pub fn from(self) -> &'static str {
        match self {
            Self::Copy => "13.16",
            Self::Link => "15.20",
        }
    }

    pub fn upgrade(self, ns: &Namespace) -> UpgradeRequestBuilder {
        let (to, mode) = match self {
            Self::Copy => ("17.11", "copy"),
            Self::Link => ("18.6", "link"),
        };
        ns.upgrade("up").database("orders").to(to).annotation(ANNOTATION_TRANSFER_MODE, mode)
    }
}

/// A small database in which every step has something to do.
pub async fn orders(ns: &Namespace, version: &str) -> anyhow::Result<Database> {
    create_filled(ns.postgres("orders").version(version)).await
}

/// Creates a database and fills it with the same small data.
pub async fn create_filled(orders: DatabaseBuilder) -> anyhow::Result<Database> {
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

/// A major upgrade that was started.
pub struct StartedUpgrade {
    pub orders: Database,
    /// The database's content before the upgrade.
    pub before: Fingerprint,
    pub upgrade: UpgradeRequest,
    pub observer: UpgradeObserver,
}

impl StartedUpgrade {
    pub async fn new(ns: &Namespace, major: Major) -> anyhow::Result<Self> {
        let orders = orders(ns, major.from()).await?;
        let before = orders.fingerprint().await?;
        let upgrade = major.upgrade(ns).create().await?;
        let observer = UpgradeObserver::start(&orders, &upgrade).await?;
        Ok(Self { orders, before, upgrade, observer })
    }
}

/// A major upgrade that must succeed despite the `fault`.
pub async fn assert_survives(
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

/// Number of upgrades among which one case divides its kills at most: all are delivered to the first, unless some come too late.
const MAX_UPGRADES: usize = 3;

/// Runs upgrades until each kill was delivered to one of them. `upgrade` delivers as many as it can, in order, and returns the
/// others.
pub async fn deliver_all(
    kills: &[Kill],
    mut upgrade: impl AsyncFnMut(&[Kill]) -> anyhow::Result<Vec<Kill>>,
) -> anyhow::Result<()> {
    let mut left = kills.to_vec();
    for _ in 0..MAX_UPGRADES {
        left = upgrade(&left).await?;
        if left.is_empty() {
            return Ok(());
        }
    }
    bail!("{MAX_UPGRADES} upgrades ended before their points: {left:?}")
}

/// A major upgrade that must succeed although its worker is killed repeatedly; nothing is lost or done twice.
pub async fn assert_survives_kills(major: Major, kills: &[Kill]) -> anyhow::Result<()> {
    assert_survives_kills_and(major, kills, |_| Ok(())).await
}

/// The same, with a further assertion at the end.
pub async fn assert_survives_kills_and(
    major: Major,
    kills: &[Kill],
    assertion: impl Fn(&UpgradeObserver) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    deliver_all(kills, async |kills: &[Kill]| {
        let mut missed = Vec::new();
        with_namespace(async |ns| {
            let StartedUpgrade { orders, before, upgrade, mut observer } =
                StartedUpgrade::new(ns, major).await?;
            missed = observer.kill_each(kills).await?;
            assert_upgraded(&orders, &upgrade, &before).await?;
            observer.assert_done_once(kills.len() - missed.len()).await?;
            assertion(&observer)
        })
        .await?;
        Ok(missed)
    })
    .await
}

/// Kills at these points, of the two victims in turn.
pub fn alternating_kills(points: impl IntoIterator<Item = KillPoint>, first: Victim) -> Vec<Kill> {
    let second = if first == Victim::Runner { Victim::Container } else { Victim::Runner };
    points.into_iter().zip([first, second].into_iter().cycle()).map(|(at, of)| Kill { at, of }).collect()
}

/// Waits for the end of an upgrade that may fail: the database has either version, without any loss.
pub async fn assert_upgraded_or_rolled_back(
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
