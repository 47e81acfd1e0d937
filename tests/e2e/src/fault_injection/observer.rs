//! Follows one upgrade from the node, kills its worker, and verifies that nothing is done twice.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use pgops_api::plan::UpgradeKind;
use pgops_api::{PgVersion, PostgresOpsRequest, names};
use rustix::process::Signal;

use super::data_volume::DataVolume;
use super::invariants::Invariants;
use super::journal::{self, Record};
use super::kill_point::{Kill, KillPoint, Victim};
use super::node::Node;
use super::process::Process;
use super::runner_log;
use super::worker::Worker;
use crate::counts;
use crate::database::Database;
use crate::request::UpgradeRequest;

/// From one kill to the next point, including the Job's back-off before a new pod.
const TIMEOUT: Duration = Duration::from_mins(6);
/// A journal gets its next record after a few milliseconds.
const POLL_INTERVAL: Duration = Duration::from_micros(300);
/// A new worker needs somewhat longer for its first record.
const POLL_INTERVAL_WITHOUT_WORKER: Duration = Duration::from_millis(20);
/// Time within which a process must end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The upgrade ended before the point was seen.
#[derive(Debug)]
struct Missed(KillPoint);

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the upgrade ended before {}", self.0)
    }
}

impl std::error::Error for Missed {}

/// One upgrade, observed from the node.
pub struct UpgradeObserver {
    node: Node,
    database: Database,
    volume: DataVolume,
    request: String,
    uid: String,
    invariants: Invariants,
    kills: usize,
}

impl UpgradeObserver {
    /// Starts to observe the upgrade of a database.
    pub async fn start(database: &Database, upgrade: &UpgradeRequest) -> anyhow::Result<Self> {
        let node = Node::local()?;
        let ns = database.namespace();
        let request = ns.api::<PostgresOpsRequest>().get(upgrade.name()).await?;
        let major = |version: &str| version.parse::<PgVersion>().map(|version| version.major);
        let old = major(&database.object().await?.spec.version)?;
        let new = major(request.target().unwrap_or_default())?;
        let volume = DataVolume::new(node.volume(database).await?);
        let invariants = Invariants::new(old, new, &volume)?;
        Ok(Self {
            node,
            database: database.clone(),
            volume,
            request: upgrade.name().to_owned(),
            uid: request.uid().unwrap_or_default(),
            invariants,
            kills: 0,
        })
    }

    /// The mount of the database's volume on the node.
    #[must_use]
    pub fn volume(&self) -> &Path {
        self.volume.path()
    }

    /// The configuration file that `ALTER SYSTEM` writes, in the new data directory.
    #[must_use]
    pub fn new_auto_conf(&self) -> PathBuf {
        self.volume().join(self.invariants.new_major().to_string()).join("data/postgresql.auto.conf")
    }

    /// The journal's records so far.
    pub async fn records(&self) -> anyhow::Result<Vec<Record>> {
        let text = match self.invariants.kind() {
            UpgradeKind::Major => self.volume.journal(&self.uid),
            UpgradeKind::Minor => {
                let reports = self.database.namespace().api::<ConfigMap>();
                let report = reports.get_opt(&names::report(&self.request)).await?;
                report.and_then(|map| map.data?.remove("journal"))
            }
        };
        journal::parse(&text.unwrap_or_default())
    }

    async fn last_record(&self) -> anyhow::Result<String> {
        Ok(self.records().await?.last().map(ToString::to_string).unwrap_or_default())
    }

    /// Delivers the kills in order. Returns those that came too late because the upgrade had ended before: a kill that lands
    /// a record after its point leaves less of the upgrade for the next one, whose points may have passed when the next worker
    /// is seen.
    pub async fn kill_each(&mut self, kills: &[Kill]) -> anyhow::Result<Vec<Kill>> {
        for (delivered, kill) in kills.iter().enumerate() {
            match self.kill(*kill).await {
                Ok(()) => {}
                Err(error) if error.is::<Missed>() => {
                    let missed = &kills[delivered..];
                    eprintln!("--- {error}: {} kills were not delivered", missed.len());
                    return Ok(missed.to_vec());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    /// Waits for the kill point and kills; fails if the upgrade ends before.
    pub async fn kill(&mut self, kill: Kill) -> anyhow::Result<()> {
        let worker = self.reach(kill.at).await?;
        let (victim, all): (_, &[&Process]) = match kill.of {
            Victim::Runner => (&worker.runner, &[&worker.runner]),
            Victim::Container => (&worker.init, &[&worker.init, &worker.runner]),
            Victim::Programs => (&worker.programs, &[&worker.programs]),
        };
        victim.signal(Signal::KILL)?;
        let killed = Instant::now();
        while all.iter().any(|process| process.is_alive()) {
            ensure!(killed.elapsed() < KILL_TIMEOUT, "the {:?} survives SIGKILL", kill.of);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        let records = self.records().await?;
        let last = records.last().map(ToString::to_string).unwrap_or_default();
        eprintln!("--- killed the {:?} at {}; the journal ends with {last}", kill.of, kill.at);
        self.kills += 1;
        counts::add("kills", 1)?;
        if records.last() == Some(&kill.at.record()) {
            counts::add("kills-on-the-record", 1)?;
        }
        self.invariants.remember(&records, &self.volume, &self.database).await
    }

    /// Waits until the point is reached; returns the worker, which is alive then.
    pub async fn reach(&self, at: KillPoint) -> anyhow::Result<Worker> {
        let start = Instant::now();
        let mut worker: Option<Worker> = None;
        let mut reached: Option<Instant> = None;
        let mut stages = 0;
        loop {
            worker = worker.filter(Worker::is_alive);
            if worker.is_none() {
                worker = Worker::find(&self.uid);
                stages = self.stages_passed()?;
            }
            let is_reached = match at {
                KillPoint::Stage(number) => worker.is_some() && self.stages_passed()? >= stages + number,
                KillPoint::Record(..) | KillPoint::After(..) => self.records().await?.contains(&at.record()),
            };
            if is_reached && reached.is_none() {
                reached = Some(Instant::now());
            }
            if reached.is_some_and(|reached| reached.elapsed() >= at.delay())
                && let Some(worker) = worker.take_if(|worker| worker.is_alive())
            {
                return Ok(worker);
            }
            if start.elapsed() > TIMEOUT {
                bail!("{at} was not reached; the journal ends with {}", self.last_record().await?);
            }
            if worker.is_none() {
                if self.has_ended().await? {
                    return Err(Missed(at).into());
                }
                // Scanning all processes costs more than reading the journal.
                tokio::time::sleep(POLL_INTERVAL_WITHOUT_WORKER).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until a runner logs that it retries a step.
    pub async fn wait_retry(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while !runner_log::has_retry(&self.log()?) {
            ensure!(start.elapsed() < TIMEOUT, "no step was retried");
            ensure!(!self.has_ended().await?, "the upgrade ended without a retry of any step");
            tokio::time::sleep(POLL_INTERVAL_WITHOUT_WORKER).await;
        }
        Ok(())
    }

    async fn has_ended(&self) -> anyhow::Result<bool> {
        let request = self.database.namespace().api::<PostgresOpsRequest>().get(&self.request).await?;
        Ok(request.phase().is_terminal())
    }

    fn log(&self) -> anyhow::Result<String> {
        let job = names::job(&self.request, &self.uid);
        self.node.runner_log(self.database.namespace().name(), &job)
    }

    /// Number of `pg_upgrade` stages in the log of all runners so far.
    fn stages_passed(&self) -> anyhow::Result<usize> {
        Ok(runner_log::stages_passed(&self.log()?))
    }

    /// Number of stages of the `pg_upgrade` run that succeeded, as the runner reports it.
    pub fn stages_of_last_run(&self) -> anyhow::Result<usize> {
        runner_log::stages_of_last_run(&self.log()?)
    }

    /// Verifies, after a successful upgrade, that what cannot be undone was done once, and that the volume holds
    /// one cluster.
    pub async fn assert_done_once(&self, kills: usize) -> anyhow::Result<()> {
        let records = self.ensure_killed(kills).await?;
        self.invariants.ensure_done_once(&records, &self.volume, &self.database).await
    }

    /// Verifies, after a rollback, that the old cluster exists and the new one does not.
    pub async fn assert_rolled_back(&self, kills: usize) -> anyhow::Result<()> {
        self.ensure_killed(kills).await?;
        self.invariants.ensure_rolled_back(&self.volume)
    }

    async fn ensure_killed(&self, kills: usize) -> anyhow::Result<Vec<Record>> {
        ensure!(self.kills == kills, "{} of {kills} kills were delivered", self.kills);
        self.records().await
    }
}
