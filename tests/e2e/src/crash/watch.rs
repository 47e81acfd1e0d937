//! Follows one upgrade from the node, kills its worker, and sees that nothing is done twice.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use pgops_api::plan::{Step, UpgradeKind};
use pgops_api::{PgVersion, PostgresOpsRequest, layout, names};
use rustix::process::Signal;

use super::process::Worker;
use super::{Entry, Kill, Mark, Moment, Node, Victim, journal};
use crate::{Database, Upgrade, counts};

/// From one kill to the next moment, the Job's pause before a new pod included.
const LONGEST: Duration = Duration::from_mins(6);
/// A journal has its next record after a few milliseconds.
const PAUSE: Duration = Duration::from_micros(300);
/// A new worker has its first record after some more.
const PAUSE_WITHOUT_WORKER: Duration = Duration::from_millis(20);

/// One upgrade, followed from the node.
pub struct Watch {
    node: Node,
    database: Database,
    volume: PathBuf,
    request: String,
    uid: String,
    kind: UpgradeKind,
    old: u32,
    new: u32,
    /// Identity of the old cluster at the beginning.
    old_cluster: u64,
    /// Identity of the new cluster, once `pg_upgrade` has succeeded.
    new_cluster: Option<u64>,
    /// The pod that serves the new version.
    pod: Option<String>,
    kills: usize,
}

impl Watch {
    /// Begins to follow the upgrade from one version to another.
    pub async fn begin(database: &Database, upgrade: &Upgrade) -> anyhow::Result<Self> {
        let node = Node::here()?;
        let ns = database.namespace();
        let request = ns.api::<PostgresOpsRequest>().get(upgrade.name()).await?;
        let major = |version: &str| version.parse::<PgVersion>().map(|version| version.major);
        let (old, new) =
            (major(&database.object().await?.spec.version)?, major(request.target().unwrap_or_default())?);
        let volume = node.volume(database).await?;
        let mut watch = Self {
            node,
            database: database.clone(),
            volume,
            request: upgrade.name().to_owned(),
            uid: request.uid().unwrap_or_default(),
            kind: if old == new { UpgradeKind::Minor } else { UpgradeKind::Major },
            old,
            new,
            old_cluster: 0,
            new_cluster: None,
            pod: None,
            kills: 0,
        };
        watch.old_cluster = watch.cluster(old).context("the old data has no control file")?;
        Ok(watch)
    }

    /// The volume of the database.
    #[must_use]
    pub fn volume(&self) -> &Path {
        &self.volume
    }

    /// The records so far.
    pub async fn records(&self) -> anyhow::Result<Vec<Entry>> {
        let text = match self.kind {
            UpgradeKind::Major => {
                let work = layout::request_dir(&self.uid);
                let work = work.strip_prefix(layout::VOLUME_ROOT)?;
                std::fs::read_to_string(self.volume.join(work).join("journal")).ok()
            }
            UpgradeKind::Minor => {
                let reports = self.database.namespace().api::<ConfigMap>();
                let report = reports.get_opt(&names::report(&self.request)).await?;
                report.and_then(|map| map.data?.remove("journal"))
            }
        };
        journal::parse(&text.unwrap_or_default())
    }

    /// Waits for the moment and kills; fails if the upgrade ends before.
    pub async fn kill(&mut self, kill: Kill) -> anyhow::Result<()> {
        let worker = self.reach(kill.at).await?;
        match kill.of {
            Victim::Runner => worker.runner.signal(Signal::KILL)?,
            Victim::Container => worker.init.signal(Signal::KILL)?,
        }
        let killed = Instant::now();
        while worker.runner.is_alive() || (kill.of == Victim::Container && worker.init.is_alive()) {
            ensure!(killed.elapsed() < Duration::from_secs(10), "the {:?} outlives SIGKILL", kill.of);
            tokio::time::sleep(PAUSE).await;
        }
        let records = self.records().await?;
        let last = records.last().map(ToString::to_string).unwrap_or_default();
        eprintln!("--- killed the {:?} at {}; the journal ends with {last}", kill.of, kill.at);
        self.kills += 1;
        counts::add("kills", 1)?;
        if records.last() == Some(&kill.at.record()) {
            counts::add("kills-on-the-record", 1)?;
        }
        self.note(&records).await
    }

    /// Waits until the moment has come; gives the worker, which is alive then.
    pub async fn reach(&self, at: Moment) -> anyhow::Result<Worker> {
        let began = Instant::now();
        let mut worker: Option<Worker> = None;
        let mut come: Option<Instant> = None;
        let mut stages = 0;
        loop {
            worker = worker.filter(Worker::is_alive);
            if worker.is_none() {
                worker = Worker::find(&self.uid);
                stages = self.stages_passed()?;
            }
            let has_come = match at {
                Moment::Stage(number) => worker.is_some() && self.stages_passed()? >= stages + number,
                Moment::Record(..) | Moment::After(..) => self.records().await?.contains(&at.record()),
            };
            if has_come && come.is_none() {
                come = Some(Instant::now());
            }
            let delay = if let Moment::After(_, _, delay) = at { delay } else { Duration::ZERO };
            if come.is_some_and(|come| come.elapsed() >= delay)
                && let Some(worker) = worker.take_if(|worker| worker.is_alive())
            {
                return Ok(worker);
            }
            if began.elapsed() > LONGEST {
                let last = self.records().await?.last().map(ToString::to_string).unwrap_or_default();
                bail!("no kill at {at}: the moment has not come; the journal ends with {last}");
            }
            if worker.is_none() {
                ensure!(!self.has_ended().await?, "no kill at {at}: the upgrade has ended before");
                // A look at all processes costs more than one at the journal.
                tokio::time::sleep(PAUSE_WITHOUT_WORKER).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until a runner says, in its log, that it tries a step again.
    pub async fn wait_retry(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.log()?.contains("; tried again in ") {
            ensure!(began.elapsed() < LONGEST, "nothing was tried again");
            ensure!(!self.has_ended().await?, "the upgrade has ended, and nothing was tried again");
            tokio::time::sleep(PAUSE_WITHOUT_WORKER).await;
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

    /// Stages of `pg_upgrade` in the log of all runners so far.
    fn stages_passed(&self) -> anyhow::Result<usize> {
        Ok(self.log()?.lines().filter(|line| is_stage(line)).count())
    }

    /// How many stages `pg_upgrade` had when it succeeded, as the runner says.
    pub fn stages_of_the_last_run(&self) -> anyhow::Result<usize> {
        let log = self.log()?;
        let number = log.split_once("pg_upgrade has passed ").and_then(|(_, rest)| rest.split(' ').next());
        Ok(number.context("the log does not say that pg_upgrade has passed")?.parse()?)
    }

    /// Notes what must not change any more.
    async fn note(&mut self, records: &[Entry]) -> anyhow::Result<()> {
        let has = |step| records.contains(&Entry { step, mark: Mark::Succeeded });
        if self.kind == UpgradeKind::Major && has(Step::PgUpgraded) && self.new_cluster.is_none() {
            self.new_cluster = self.cluster(self.new);
        }
        if has(Step::StartDatabase) && self.pod.is_none() {
            self.pod = Some(self.serving_pod().await?);
        }
        Ok(())
    }

    async fn serving_pod(&self) -> anyhow::Result<String> {
        let pods = self.database.namespace().api::<Pod>();
        Ok(pods.get(&names::pod(self.database.name(), 0)).await?.uid().unwrap_or_default())
    }

    /// Sees, after an upgrade that succeeded, that what cannot be taken back was done once, and that the volume
    /// holds one cluster.
    pub async fn assert_done_once(&self, kills: usize) -> anyhow::Result<()> {
        let records = self.check(kills).await?;
        for step in Step::sequence(self.kind) {
            let times =
                records.iter().filter(|it| **it == Entry { step: *step, mark: Mark::Succeeded }).count();
            ensure!(times == 1, "{step} has succeeded {times} times: {records:?}");
        }
        if let Some(pod) = &self.pod {
            ensure!(
                *pod == self.serving_pod().await?,
                "the pod of the new server was replaced after its start"
            );
        }
        let last = self.cluster(self.new);
        match self.kind {
            UpgradeKind::Major => {
                let same = self.new_cluster.is_none_or(|noted| last == Some(noted));
                ensure!(same, "the new cluster was made anew after pg_upgrade had succeeded");
                self.holds_only(self.new, self.old)
            }
            UpgradeKind::Minor => {
                ensure!(last == Some(self.old_cluster), "a minor upgrade has changed the cluster");
                Ok(())
            }
        }
    }

    /// Sees, after an upgrade that was taken back, that the old cluster is there and the new one is not.
    pub async fn assert_taken_back(&self, kills: usize) -> anyhow::Result<()> {
        self.check(kills).await?;
        ensure!(self.cluster(self.old) == Some(self.old_cluster), "the old cluster is another one");
        self.holds_only(self.old, self.new)
    }

    async fn check(&self, kills: usize) -> anyhow::Result<Vec<Entry>> {
        ensure!(self.kills == kills, "{} kills of {kills} were delivered", self.kills);
        self.records().await
    }

    fn holds_only(&self, there: u32, gone: u32) -> anyhow::Result<()> {
        let active = std::fs::read_to_string(self.volume.join(".pgops/active"))?;
        ensure!(active.trim() == there.to_string(), "the volume says that {active:?} serves");
        ensure!(self.cluster(there).is_some(), "there is no control file of {there}");
        // Old data may be kept for a while, and is marked then.
        let kept = self.volume.join(".pgops/retired").join(gone.to_string()).exists();
        ensure!(kept || !self.volume.join(gone.to_string()).exists(), "data of {gone} is left on the volume");
        Ok(())
    }

    /// Identity of a cluster: initdb gives each a new one, and it is the first thing in the control file.
    fn cluster(&self, major: u32) -> Option<u64> {
        let global = self.volume.join(major.to_string()).join("data/global");
        let control = std::fs::read(global.join("pg_control"))
            .or_else(|_| std::fs::read(global.join("pg_control.old")))
            .ok()?;
        Some(u64::from_le_bytes(control.get(..8)?.try_into().ok()?))
    }
}

/// Whether a line of the log tells a stage that `pg_upgrade` has passed: it has no mark.
fn is_stage(line: &str) -> bool {
    let rest = line.split_once(" PgUpgraded ").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.strip_prefix("              "))
        .is_some_and(|text| text.trim_start().starts_with(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_told_from_what_else_the_log_says() {
        let stage = "2026-11-25T14:40:22.17Z stdout F 14:40:22  PgUpgraded                     Checking cluster versions";
        assert!(is_stage(stage));
        for other in [
            "2026-11-25T14:40:26.91Z stdout F 14:40:26  PgUpgraded                     pg_upgrade has passed 37 stages",
            "2026-11-25T14:40:26.93Z stdout F 14:40:26  PgUpgraded               ok    done",
            "2026-11-25T14:40:27.02Z stdout F 14:40:27  StartDatabase            ...   begins",
        ] {
            assert!(!is_stage(other), "{other}");
        }
    }
}
