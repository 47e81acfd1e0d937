//! One upgrade: everything that its steps act on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use pgops_api::layout;
use pgops_api::plan::{NODE_VARIABLE, Step, UpgradeKind, UpgradePlan, VersionRef};

use super::{
    Facts, StepError, analyze, clean_up, copied_old_binaries, data_directory_initialized, display_chain,
    pause_database, pg_upgraded, preflight, rebuild_indexes, replaced_data_directory, resume_database,
    start_database, stop_database, update_database, update_extensions, update_stateful_set_image,
    verify_database,
};
use crate::cancel::Cancel;
use crate::cluster::{Cluster, pod};
use crate::postgres::installation::Installation;
use crate::postgres::interlock::Interlock;
use crate::postgres::leftover;
use crate::postgres::server::Superuser;
use crate::postgres::volume::Volume;
use crate::report::{Reporter, seconds};
use crate::saga::{Event, Failure, PointOfNoReturn, Record, UndoError, World};

/// One upgrade.
pub struct Upgrade {
    pub(super) plan: UpgradePlan,
    pub(super) kind: UpgradeKind,
    pub(super) old_major: u32,
    pub(super) new_major: u32,
    pub(super) cluster: Cluster,
    pub(super) volume: Volume,
    pub(super) superuser: Superuser,
    pub(super) facts: Option<Facts>,
    pub(super) interlock: Option<Interlock>,
    /// The database's next pod comes to this worker's node.
    pub(super) is_pinned: bool,
    /// The image that this worker has given the workload.
    image: Option<String>,
    pub(super) reporter: Reporter,
    node: Option<String>,
    cancel: Cancel,
}

/// Tries of a step past the point of no return, where giving up leaves the database down.
const FORWARD_RETRIES: u32 = 20;

impl Upgrade {
    /// The upgrade of a plan, from wherever an earlier runner left it.
    pub fn new(plan: UpgradePlan, cluster: Cluster) -> Result<Self, StepError> {
        let kind = plan.kind()?;
        let volume = Volume::new(Path::new(layout::VOLUME_ROOT), &plan.request_uid);
        let facts = Facts::load(volume.work()).map_err(StepError::volume("read the preflight's facts"))?;
        Ok(Self {
            old_major: plan.from.pg_version()?.major,
            new_major: plan.to.pg_version()?.major,
            reporter: Reporter::new(cluster.clone(), kind, plan.scope),
            cancel: Cancel::of(cluster.clone()),
            superuser: Superuser::read()?,
            interlock: None,
            is_pinned: false,
            image: None,
            node: std::env::var(NODE_VARIABLE).ok(),
            plan,
            kind,
            cluster,
            volume,
            facts,
        })
    }

    /// What people see of it.
    #[must_use]
    pub fn into_reporter(self) -> Reporter {
        self.reporter
    }

    /// What the preflight said to people, as far as it got.
    #[must_use]
    pub fn said(&self) -> &[String] {
        self.facts.as_ref().map_or(&[], |facts| &facts.said)
    }

    /// What is kept of the old data, and for how long, if it is.
    pub fn kept(&self) -> Result<Option<String>, StepError> {
        if self.kind == UpgradeKind::Minor {
            return Ok(None);
        }
        let until = self.volume.retired(self.old_major).map_err(clean_up::unread(self.old_major))?;
        let kept = |until: &Timestamp| *until > Timestamp::now();
        Ok(until.filter(kept).map(|until| {
            let mebibytes = self.facts.as_ref().map_or(0, |facts| facts.bytes) / (1024 * 1024);
            format!(
                "the data of {} ({mebibytes} MiB) is kept on the volume until {until:.0}",
                self.plan.from.name
            )
        }))
    }

    /// What the preflight learnt.
    pub(super) fn facts(&self) -> Result<&Facts, StepError> {
        self.facts.as_ref().ok_or_else(|| {
            StepError::Unexpected(format!(
                "the preflight's facts are missing from {}; delete the request and apply a new one",
                self.volume.work().display()
            ))
        })
    }

    /// The target's programs, in this image.
    pub(super) fn new_installation(&self) -> Result<Installation, StepError> {
        Ok(Installation::find(Path::new("/"), self.new_major)?)
    }

    /// The old version's programs, staged.
    pub(super) fn old_installation(&self) -> Result<Installation, StepError> {
        Ok(Installation::find(Path::new(layout::OLD_DIR), self.old_major)?)
    }

    /// A directory for logs and generated files, gone with the worker.
    pub(super) fn scratch() -> PathBuf {
        PathBuf::from("/tmp/pgops")
    }

    /// Whether the volume says that the new version serves.
    pub(super) fn is_switched(&self) -> Result<bool, StepError> {
        let active = self.volume.active().map_err(StepError::volume("read which version serves"))?;
        Ok(active == Some(self.new_major))
    }

    /// Makes sure that nobody but us can run a server on the data: no pod, and the interlock is ours.
    pub(super) async fn exclude_others(&mut self) -> Result<(), StepError> {
        self.cluster.scale(0).await?;
        self.cluster.wait_gone().await?;
        self.take_interlock().await
    }

    /// The same once the old server was stopped. The new version's pod may be there: it starts nothing before the
    /// volume says that its version serves.
    pub(super) async fn exclude_all_but_waiting(&mut self) -> Result<(), StepError> {
        let image = &self.plan.to.image;
        let is_apart = |pod: &Pod| pod::has_ended(pod) || pod::has_image(pod, image);
        if self.is_switched()? || !self.cluster.pod().await?.as_ref().is_none_or(is_apart) {
            return self.exclude_others().await;
        }
        self.take_interlock().await
    }

    async fn take_interlock(&mut self) -> Result<(), StepError> {
        if self.interlock.is_some() {
            return Ok(());
        }
        let path = self.volume.interlock();
        self.interlock = loop {
            let taken = Interlock::try_take(&path)
                .map_err(StepError::volume(format!("take the interlock {}", path.display())))?;
            if taken.is_some() {
                break taken;
            }
            // What an earlier try of ours has left running holds it too.
            self.stop_leftovers().await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        Ok(())
    }

    /// The interlock, which whoever runs a program on the data must hold.
    pub(super) fn interlock(&self) -> Result<&Interlock, StepError> {
        let missing =
            || StepError::Unexpected("the interlock is not held: nothing was done to the data".to_owned());
        self.interlock.as_ref().ok_or_else(missing)
    }

    /// Stops servers of our own that a killed or given up program has left on the data.
    pub(super) async fn stop_leftovers(&self) -> Result<(), StepError> {
        for major in [self.old_major, self.new_major] {
            let pgdata = self.volume.pgdata(major);
            let what = format!("stop the server that was left on {}", pgdata.display());
            leftover::stop_server(&pgdata).await.map_err(StepError::volume(what))?;
        }
        Ok(())
    }

    /// Node of this worker, and so of a volume that one node at a time may have.
    pub(super) fn node(&self) -> Option<&str> {
        self.node.as_deref().filter(|_| self.kind == UpgradeKind::Major)
    }

    /// Ties the database's next pod to this worker's node, also where an earlier worker was on another one.
    pub(super) async fn pin_here(&mut self) -> Result<(), StepError> {
        if let Some(node) = self.node().filter(|_| !self.is_pinned) {
            self.cluster.pin(Some(node)).await?;
            self.is_pinned = true;
        }
        Ok(())
    }

    /// Gives the workload image and data directory of one side.
    pub(super) async fn set_image(&mut self, side: &VersionRef) -> Result<(), StepError> {
        self.cluster.set_image(&side.image, &layout::pgdata(side.pg_version()?.major)).await?;
        self.image = Some(side.image.clone());
        Ok(())
    }

    /// What an earlier worker has left may be mended by now: its image has another reference in the catalog, or its pod
    /// can start, but the kubelet's next try is further off than our last one.
    async fn take_over(&mut self, side: &VersionRef) -> Result<(), StepError> {
        self.set_image(side).await?;
        if let Some(pod) = self.cluster.pod().await?.filter(pod::backs_off) {
            self.cluster.delete_pod(&pod).await?;
        }
        Ok(())
    }

    /// Lets the database's pod run as that side, and waits until it answers; gives its address.
    pub(super) async fn serve(&mut self, side: &VersionRef) -> Result<String, StepError> {
        let image = side.image.as_str();
        if self.kind == UpgradeKind::Major {
            self.stop_leftovers().await?;
            self.pin_here().await?;
        }
        if self.image.as_deref() != Some(image) {
            Box::pin(self.take_over(side)).await?;
        }
        self.interlock = None;
        self.cluster.scale(1).await?;
        // A pod that somebody let in with the other image waits for ever, and nothing replaces it.
        stop_database::replace_pod(self, image).await?;
        Ok(self.cluster.wait_ready(image).await?)
    }

    /// Where the old data becomes useless in the mode that the preflight chose.
    fn point(&self) -> PointOfNoReturn {
        match (self.kind, self.facts.as_ref().map(|facts| facts.mode.preserves_old_data())) {
            // Clients write as soon as the new server answers: going back would lose what they were told is kept.
            (UpgradeKind::Major, Some(true)) => PointOfNoReturn::EndOf(Step::StartDatabase),
            // The new pod waits for nothing but the switch, and for the interlock, which a killed runner lets go.
            // Without the preflight's facts the mode may have been link.
            (UpgradeKind::Major, Some(false) | None) => PointOfNoReturn::StartOf(Step::ReplacedDataDirectory),
            // The data directory stays the same one.
            (UpgradeKind::Minor, _) => PointOfNoReturn::EndOf(Step::VerifyDatabase),
        }
    }

    async fn do_step(&mut self, step: Step) -> Result<(), StepError> {
        match step {
            Step::CopiedOldBinaries => copied_old_binaries::act(self),
            Step::Preflight => preflight::act(self).await,
            Step::DataDirectoryInitialized => data_directory_initialized::act(self).await,
            Step::PauseDatabase => pause_database::act(self).await,
            Step::StopDatabase => stop_database::act(self).await,
            Step::PgUpgraded => pg_upgraded::act(self).await,
            Step::ReplacedDataDirectory => replaced_data_directory::act(self).await,
            Step::UpdateStatefulSetImage => update_stateful_set_image::act(self).await,
            Step::StartDatabase => start_database::act(self).await,
            Step::VerifyDatabase => verify_database::act(self).await,
            Step::UpdateDatabase => update_database::act(self).await,
            Step::ResumeDatabase => resume_database::act(self).await,
            Step::UpdateExtensions => update_extensions::act(self).await,
            Step::RebuildIndexes => rebuild_indexes::act(self).await,
            Step::Analyze => analyze::act(self).await,
            Step::CleanUp => clean_up::act(self),
        }
    }

    async fn undo_step(&mut self, step: Step) -> Result<(), StepError> {
        match step {
            Step::DataDirectoryInitialized => data_directory_initialized::undo(self),
            Step::PauseDatabase => pause_database::undo(self).await,
            Step::StopDatabase => stop_database::undo(self).await,
            Step::PgUpgraded => pg_upgraded::undo(self).await,
            Step::ReplacedDataDirectory => replaced_data_directory::undo(self).await,
            Step::UpdateStatefulSetImage => update_stateful_set_image::undo(self).await,
            Step::StartDatabase => start_database::undo(self).await,
            // These change nothing, or come after the point of no return.
            Step::CopiedOldBinaries
            | Step::Preflight
            | Step::VerifyDatabase
            | Step::UpdateDatabase
            | Step::ResumeDatabase
            | Step::UpdateExtensions
            | Step::RebuildIndexes
            | Step::Analyze
            | Step::CleanUp => Ok(()),
        }
    }
}

/// Longest time in seconds of the steps that wait for a pod: a node without room must not make the outage
/// endless. Work on the data itself takes as long as it takes.
fn default_limit(step: Step) -> Option<u64> {
    matches!(step, Step::StopDatabase | Step::StartDatabase | Step::VerifyDatabase).then_some(LONGEST_WAIT)
}

/// The same of a step that is taken back.
fn undo_limit(step: Step) -> Option<u64> {
    matches!(step, Step::StopDatabase | Step::StartDatabase | Step::UpdateStatefulSetImage)
        .then_some(LONGEST_WAIT)
}

const LONGEST_WAIT: u64 = 15 * 60;

/// Whether a step is left in the middle when the request is cancelled: it may take hours. From the start of the
/// new server on, a step that was begun is brought to its end: a server may be answering already.
fn is_given_up_at_a_word(step: Step) -> bool {
    matches!(
        step,
        Step::CopiedOldBinaries
            | Step::Preflight
            | Step::DataDirectoryInitialized
            | Step::StopDatabase
            | Step::PgUpgraded
    )
}

/// Gives `work` up after so many seconds.
async fn within(
    limit: Option<u64>,
    work: impl Future<Output = Result<(), StepError>>,
) -> Result<(), StepError> {
    let Some(limit) = limit else { return work.await };
    tokio::time::timeout(Duration::from_secs(limit), work).await.unwrap_or(Err(StepError::Timeout(limit)))
}

impl World for Upgrade {
    async fn act(&mut self, step: Step) -> Result<(), Failure> {
        let limit = self.plan.timeout_seconds.or(default_limit(step));
        let cancelled = self.cancel.wait();
        let work = async { within(limit, self.do_step(step)).await.map_err(|error| error.failure(step)) };
        tokio::select! {
            result = work => result,
            // What is given up here leaves nothing running, and is undone.
            failure = cancelled, if is_given_up_at_a_word(step) => Err(failure),
        }
    }

    async fn undo(&mut self, step: Step) -> Result<(), UndoError> {
        tracing::info!(step = %step, mark = "undo", "is taken back");
        // The way back needs a little room, and what failed may have taken all there was.
        self.volume.release_reserve();
        within(undo_limit(step), self.undo_step(step)).await.map_err(|error| error.not_undone(step))
    }

    fn point_of_no_return(&self) -> PointOfNoReturn {
        self.point()
    }

    fn cancelled(&self) -> Option<Failure> {
        // A new server that may start may have answered.
        self.cancel.heard().filter(|_| !self.is_switched().unwrap_or(true))
    }

    fn retries(&self, failure: &Failure, committed: bool) -> u32 {
        match (committed, failure.may_pass) {
            (true, _) => FORWARD_RETRIES,
            (false, true) => self.plan.max_retries,
            // It will be there the next time too, and each try may be an outage.
            (false, false) => 0,
        }
    }

    async fn before_retry(&mut self, step: Step, attempt: u32, failure: &Failure) {
        let wait = Duration::from_secs(u64::from(attempt.min(30)));
        tracing::warn!(%step, attempt, "{}; tried again in {} s", failure.message, wait.as_secs());
        self.reporter.retry(step, attempt, failure);
        // On a full volume a little room may be all that the next try needs: for the switch, or a server's first files.
        self.volume.release_reserve();
        tokio::time::sleep(wait).await;
    }

    fn is_optional(&self, step: Step) -> bool {
        matches!(step, Step::UpdateExtensions | Step::RebuildIndexes | Step::Analyze | Step::CleanUp)
    }

    fn show(&mut self, record: &Record) {
        self.reporter.show(record);
        let step = record.step;
        match &record.event {
            Event::Started if step == Step::StopDatabase => {
                tracing::info!(%step, mark = "down", "the outage begins: writes stop");
            }
            Event::Started => tracing::info!(%step, mark = "...", "begins"),
            Event::Succeeded if step == Step::StartDatabase => {
                let outage = self.reporter.outage().duration().map(seconds).unwrap_or_default();
                tracing::info!(%step, mark = "up", "the outage ends after {outage}: the new server answers");
            }
            Event::Succeeded => tracing::info!(%step, mark = "ok", "done"),
            Event::Failed(failure) => tracing::error!(%step, reason = failure.reason, "{}", failure.message),
            Event::GivenUp(failure) => tracing::warn!(
                %step,
                reason = failure.reason,
                "{}; the upgrade goes on without this step",
                failure.message
            ),
            Event::Undone => tracing::info!(%step, mark = "undo", "was taken back"),
            Event::Committed(why) => {
                tracing::warn!(%step, reason = "NoWayBack", "{}; the upgrade goes forward again", why.message);
            }
        }
    }
}

/// Says in the log what a step found or did.
pub(super) fn say(step: Step, text: impl std::fmt::Display) {
    tracing::info!(%step, mark = "", "{text}");
}

/// Warns in the log of something that is not in the way.
pub(super) fn warn(step: Step, error: &dyn std::error::Error) {
    tracing::warn!(%step, "{}", display_chain(error));
}
