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

/// All steps, in the order of [`Step`].
pub static STEPS: [StepSpec; 16] = [
    StepSpec {
        interruptible: true,
        ..step(Step::CopiedOldBinaries, |upgrade| Box::pin(async { copied_old_binaries::run(upgrade) }))
    },
    StepSpec { interruptible: true, ..step(Step::Preflight, |upgrade| Box::pin(preflight::run(upgrade))) },
    StepSpec {
        undo: Some(|upgrade| Box::pin(async { data_directory_initialized::undo(upgrade) })),
        interruptible: true,
        ..step(Step::DataDirectoryInitialized, |upgrade| Box::pin(data_directory_initialized::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(pause_database::undo(upgrade))),
        ..step(Step::PauseDatabase, |upgrade| Box::pin(pause_database::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(stop_database::undo(upgrade))),
        timeout: Some(MAX_POD_WAIT),
        undo_timeout: Some(MAX_POD_WAIT),
        interruptible: true,
        outage: Some(OutageChange::Begins),
        ..step(Step::StopDatabase, |upgrade| Box::pin(stop_database::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(update_stateful_set_image::undo(upgrade))),
        undo_timeout: Some(MAX_POD_WAIT),
        ..step(Step::UpdateStatefulSetImage, |upgrade| Box::pin(update_stateful_set_image::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(pg_upgraded::undo(upgrade))),
        interruptible: true,
        ..step(Step::PgUpgraded, |upgrade| Box::pin(pg_upgraded::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(replaced_data_directory::undo(upgrade))),
        ..step(Step::ReplacedDataDirectory, |upgrade| Box::pin(replaced_data_directory::run(upgrade)))
    },
    StepSpec {
        undo: Some(|upgrade| Box::pin(start_database::undo(upgrade))),
        timeout: Some(MAX_POD_WAIT),
        undo_timeout: Some(MAX_POD_WAIT),
        outage: Some(OutageChange::Ends),
        ..step(Step::StartDatabase, |upgrade| Box::pin(start_database::run(upgrade)))
    },
    StepSpec {
        timeout: Some(MAX_POD_WAIT),
        ..step(Step::VerifyDatabase, |upgrade| Box::pin(verify_database::run(upgrade)))
    },
    step(Step::UpdateDatabase, |upgrade| Box::pin(update_database::run(upgrade))),
    step(Step::ResumeDatabase, |upgrade| Box::pin(resume_database::run(upgrade))),
    StepSpec {
        optional: true,
        ..step(Step::UpdateExtensions, |upgrade| Box::pin(update_extensions::run(upgrade)))
    },
    StepSpec {
        optional: true,
        ..step(Step::RebuildIndexes, |upgrade| Box::pin(rebuild_indexes::run(upgrade)))
    },
    StepSpec { optional: true, ..step(Step::Analyze, |upgrade| Box::pin(analyze::run(upgrade))) },
    StepSpec { optional: true, ..step(Step::CleanUp, |upgrade| Box::pin(async { clean_up::run(upgrade) })) },
];

/// A step that is neither undone, limited, interruptible nor optional.
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
    match (kind, mode.map(TransferMode::leaves_old_data_whole)) {
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
