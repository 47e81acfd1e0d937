//! The steps of an upgrade: one table, and one file a step.
//!
//! [`STEPS`] answers which steps may be interrupted by a cancel, which are optional, and where the outage begins and
//! ends; [`point_of_no_return`] answers from where on a failure no longer rolls back. The order is
//! [`Step::sequence`]. Each step finds out what of its effect exists, and so may be run or undone any number of times.

mod analyze;
mod clean_up;
mod copied_old_binaries;
mod data_directory_initialized;
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

use crate::report::OutageChange;
use crate::saga::{Event, PointOfNoReturn, Record};
use crate::upgrade::{StepError, UpgradeContext};

/// Does or undoes a step.
type Action = for<'a> fn(&'a mut UpgradeContext) -> LocalBoxFuture<'a, Result<(), StepError>>;

/// How a step is executed.
pub struct StepSpec {
    pub step: Step,
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
    /// The outage begins when this step starts, or ends when it has succeeded.
    pub outage: Option<OutageChange>,
}

/// The longest time to wait for a pod.
const MAX_POD_WAIT: Duration = Duration::from_mins(15);

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
    step(Step::CopiedOldBinaries, action!(sync copied_old_binaries::run)).interruptible(),
    step(Step::Preflight, action!(preflight::run)).interruptible(),
    step(Step::DataDirectoryInitialized, action!(data_directory_initialized::run))
        .undo(action!(sync data_directory_initialized::undo))
        .interruptible(),
    step(Step::PauseDatabase, action!(pause_database::run)).undo(action!(pause_database::undo)),
    step(Step::StopDatabase, action!(stop_database::run))
        .undo(action!(stop_database::undo))
        .timeout(MAX_POD_WAIT)
        .undo_timeout(MAX_POD_WAIT)
        .interruptible()
        .outage(OutageChange::Begins),
    step(Step::UpdateStatefulSetImage, action!(update_stateful_set_image::run))
        .undo(action!(update_stateful_set_image::undo))
        .undo_timeout(MAX_POD_WAIT),
    step(Step::PgUpgraded, action!(pg_upgraded::run)).undo(action!(pg_upgraded::undo)).interruptible(),
    step(Step::ReplacedDataDirectory, action!(replaced_data_directory::run))
        .undo(action!(replaced_data_directory::undo)),
    step(Step::StartDatabase, action!(start_database::run))
        .undo(action!(start_database::undo))
        .timeout(MAX_POD_WAIT)
        .undo_timeout(MAX_POD_WAIT)
        .outage(OutageChange::Ends),
    step(Step::VerifyDatabase, action!(verify_database::run)).timeout(MAX_POD_WAIT),
    step(Step::UpdateDatabase, action!(update_database::run)),
    step(Step::ResumeDatabase, action!(resume_database::run)),
    step(Step::UpdateExtensions, action!(update_extensions::run)).optional(),
    step(Step::RebuildIndexes, action!(rebuild_indexes::run)).optional(),
    step(Step::Analyze, action!(analyze::run)).optional(),
    step(Step::CleanUp, action!(sync clean_up::run)).optional(),
];

/// A step without undo or timeout that is neither interruptible nor optional.
const fn step(step: Step, run: Action) -> StepSpec {
    StepSpec {
        step,
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

/// What a record means for the outage.
#[must_use]
pub fn outage_change(kind: UpgradeKind, record: &Record) -> Option<OutageChange> {
    // The step whose undo lets the old version serve again.
    let restoring = match kind {
        UpgradeKind::Major => Step::StopDatabase,
        UpgradeKind::Minor => Step::UpdateStatefulSetImage,
    };
    let change = spec(record.step).outage;
    match record.event {
        Event::Started => change.filter(|change| *change == OutageChange::Begins),
        Event::Succeeded => change.filter(|change| *change == OutageChange::Ends),
        Event::Undone if record.step == restoring => Some(OutageChange::Ends),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
