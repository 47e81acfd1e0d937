//! The steps of an upgrade: one table, and one file a step.
//!
//! [`STEPS`] answers which steps may be interrupted by a cancel, which are optional, and where the outage begins and
//! ends; [`point_of_no_return`] answers from where on a failure no longer rolls back. The order is
//! [`Step::sequence`]. Each step finds out what of its effect exists, and so may be run or undone any number of times.

mod analyze;
mod checkpoints;
mod clean_up;
mod copied_old_binaries;
mod data_directory_initialized;
pub mod markdown;
mod pause_database;
mod pg_upgraded;
mod preflight;
mod rebuild_indexes;
mod replaced_data_directory;
mod resume_database;
mod start_database;
mod stop_database;
mod update_database;
mod update_extensions;
mod update_stateful_set_image;
mod verify_database;

use std::time::Duration;

use futures::future::LocalBoxFuture;
use pgops_api::plan::{Step, TransferMode, UpgradeKind};

use crate::outage::OutageChange;
use crate::saga::{Event, PointOfNoReturn};
use crate::upgrade::{MAX_POD_WAIT, StepError, UpgradeContext};

/// Does or undoes a step.
type Action = for<'a> fn(&'a mut UpgradeContext) -> LocalBoxFuture<'a, Result<(), StepError>>;

/// Prepares a step.
type Preparation = for<'a> fn(&'a mut UpgradeContext) -> LocalBoxFuture<'a, ()>;

/// How a step is executed.
pub struct StepSpec {
    pub step: Step,
    /// What it does, for the documentation: a verb in the third person.
    pub purpose: &'static str,
    /// Makes the step shorter, before the outage that it begins.
    pub prepare: Option<Preparation>,
    pub run: Action,
    /// `None` if the step changes nothing, or comes after the point of no return.
    pub undo: Option<Action>,
    /// Limit of `run` if the request sets no `spec.timeout`. Steps that wait for a pod have one: a node without capacity
    /// must not make the outage endless. Work on the data itself takes as long as it takes.
    pub timeout: Option<Duration>,
    /// Limit of `undo`.
    pub undo_timeout: Option<Duration>,
    /// Whether a cancel interrupts it: it may take hours. From the start of the new server on, a step that was started
    /// is completed: a server may be answering already.
    pub interruptible: bool,
    /// Whether the upgrade succeeds without it.
    pub optional: bool,
    /// The outage begins when this step starts, or ends when it has succeeded; see [`outage_change`].
    pub outage: Option<OutageChange>,
}

/// An [`Action`] of a function; `sync` if it does not await.
macro_rules! action {
    (sync $function:path) => {
        |upgrade| Box::pin(async { $function(upgrade) })
    };
    ($function:path) => {
        |upgrade| Box::pin($function(upgrade))
    };
}

/// All steps, in the order of [`Step`].
pub static STEPS: [StepSpec; 16] = [
    step(
        Step::CopiedOldBinaries,
        "stages the old programs with their libraries, and proves that they run",
        action!(copied_old_binaries::run),
    )
    .interruptible(),
    step(
        Step::Preflight,
        "checks everything that could fail later, while the database serves",
        action!(preflight::run),
    )
    .interruptible(),
    step(
        Step::DataDirectoryInitialized,
        "initialises an empty cluster of the same shape as the old one",
        action!(data_directory_initialized::run),
    )
    .undo(action!(sync data_directory_initialized::undo))
    .interruptible(),
    step(
        Step::PauseDatabase,
        "makes checkpoints, repeats the preflight if definitions have changed, and pauses the provisioner",
        action!(pause_database::run),
    )
    .undo(action!(pause_database::undo))
    .interruptible(),
    step(Step::StopDatabase, "shuts the old server down cleanly, and proves it", action!(stop_database::run))
        .prepare(action!(stop_database::prepare))
        .undo(action!(stop_database::undo))
        .timeout(MAX_POD_WAIT)
        .undo_timeout(MAX_POD_WAIT)
        .interruptible()
        .outage(OutageChange::Begins),
    step(
        Step::UpdateStatefulSetImage,
        "sets the new image; in a major upgrade the new pod starts meanwhile, and waits",
        action!(update_stateful_set_image::run),
    )
    .undo(action!(update_stateful_set_image::undo))
    .undo_timeout(MAX_POD_WAIT),
    step(Step::PgUpgraded, "runs pg_upgrade: clone, copy or link", action!(pg_upgraded::run))
        .undo(action!(pg_upgraded::undo))
        .interruptible(),
    step(
        Step::ReplacedDataDirectory,
        "makes the new version active by one atomic rename: the switchover",
        action!(replaced_data_directory::run),
    )
    .undo(action!(replaced_data_directory::undo)),
    step(
        Step::StartDatabase,
        "lets the new server start, and waits until it answers",
        action!(start_database::run),
    )
    .undo(action!(start_database::undo))
    .timeout(MAX_POD_WAIT)
    .undo_timeout(MAX_POD_WAIT)
    .outage(OutageChange::Ends),
    step(Step::VerifyDatabase, "asks the server for its version and contents", action!(verify_database::run))
        .timeout(MAX_POD_WAIT),
    step(Step::UpdateDatabase, "sets spec.version of the Postgres", action!(update_database::run)),
    step(Step::ResumeDatabase, "lifts the pause", action!(resume_database::run)),
    step(Step::CleanUp, "schedules the deletion of the old data", action!(sync clean_up::run)).optional(),
    step(
        Step::UpdateExtensions,
        "updates extensions to the versions of the new image",
        action!(update_extensions::run),
    )
    .optional(),
    step(
        Step::RebuildIndexes,
        "rebuilds the indexes that the new version would sort or search differently",
        action!(rebuild_indexes::run),
    )
    .optional(),
    step(Step::Analyze, "collects statistics for the planner", action!(analyze::run)).optional(),
];

/// A step without undo or timeout that is neither interruptible nor optional.
const fn step(step: Step, purpose: &'static str, run: Action) -> StepSpec {
    StepSpec {
        step,
        purpose,
        prepare: None,
        run,
        undo: None,
        timeout: None,
        undo_timeout: None,
        interruptible: false,
        optional: false,
        outage: None,
    }
}

impl StepSpec {
    const fn prepare(self, prepare: Preparation) -> Self {
        Self { prepare: Some(prepare), ..self }
    }

    const fn undo(self, undo: Action) -> Self {
        Self { undo: Some(undo), ..self }
    }

    const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    const fn undo_timeout(self, timeout: Duration) -> Self {
        Self { undo_timeout: Some(timeout), ..self }
    }

    const fn interruptible(self) -> Self {
        Self { interruptible: true, ..self }
    }

    const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    const fn outage(self, outage: OutageChange) -> Self {
        Self { outage: Some(outage), ..self }
    }
}

// [`spec`] finds a step by its place in the table.
const _: () = {
    let mut index = 0;
    while index < STEPS.len() {
        assert!(STEPS[index].step as usize == index);
        index += 1;
    }
};

/// How a step is executed.
#[must_use]
pub fn spec(step: Step) -> &'static StepSpec {
    &STEPS[step as usize]
}

/// From where on a failure no longer rolls back, since that would lose writes; `mode` is the one that the preflight
/// chose.
#[must_use]
pub fn point_of_no_return(kind: UpgradeKind, mode: Option<TransferMode>) -> PointOfNoReturn {
    match (kind, mode.map(TransferMode::preserves_old_data)) {
        // Clients write as soon as the new server answers: rolling back would lose acknowledged writes.
        (UpgradeKind::Major, Some(true)) => PointOfNoReturn::EndOf(Step::StartDatabase),
        // The new pod waits only for the switchover, and for the interlock, which a killed runner releases.
        // Without the preflight's facts the mode may have been link.
        (UpgradeKind::Major, Some(false) | None) => PointOfNoReturn::StartOf(Step::ReplacedDataDirectory),
        // The data directory stays the same.
        (UpgradeKind::Minor, _) => PointOfNoReturn::EndOf(Step::VerifyDatabase),
    }
}

/// Which servers stop.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stopped {
    /// The one that the database has.
    Only,
    /// One after the other, while the others serve.
    OneByOne,
}

/// What an event of a step means for the outage.
#[must_use]
pub fn outage_change(kind: UpgradeKind, stopped: Stopped, step: Step, event: &Event) -> Option<OutageChange> {
    if stopped == Stopped::OneByOne {
        return switchover_change(step, event);
    }
    let change = spec(step).outage;
    match (event, kind, step) {
        (Event::Started, ..) => change.filter(|change| *change == OutageChange::Begins),
        (Event::Succeeded, ..) => change.filter(|change| *change == OutageChange::Ends),
        // The old version serves again.
        (Event::Undone, UpgradeKind::Major, Step::StopDatabase)
        | (Event::Undone, UpgradeKind::Minor, Step::UpdateStatefulSetImage) => Some(OutageChange::Ends),
        // The new version may serve, and is replaced next.
        (Event::Undone, UpgradeKind::Minor, Step::StartDatabase) => Some(OutageChange::Begins),
        _ => None,
    }
}

/// The same with standbys: writes stop for a switchover, which is one step.
fn switchover_change(step: Step, event: &Event) -> Option<OutageChange> {
    match (step, event) {
        (Step::StopDatabase, Event::Started) => Some(OutageChange::Begins),
        (Step::StopDatabase, Event::Succeeded | Event::Undone) => Some(OutageChange::Ends),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
