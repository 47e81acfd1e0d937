//! The steps of a clone that PID 1 does itself. A clone never replaces data: it becomes the data directory only where there is none.

use pgops_volume::{FileError, Volume};

use super::decision::{Previous, Refusal, Situation, refuse_for_all};
use super::message::CloneStep;
use crate::volume::{new_data_dir, prepare_initdb_dir, publish};

/// What is on the volume of a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Whether there is a data directory, whatever is in it.
    pub data: bool,
    /// Whether the clone has its last file.
    pub complete: bool,
}

impl Found {
    pub fn observe(volume: &Volume, own: u32) -> Result<Self, FileError> {
        let tree = volume.tree();
        Ok(Self { data: tree.exists(&volume.data_dir(own))?, complete: is_complete(volume, own)? })
    }
}

/// `pg_basebackup` receives `pg_control` last. Its exit status is known to the client alone.
fn is_complete(volume: &Volume, own: u32) -> Result<bool, FileError> {
    let clone = new_data_dir(volume, own);
    let version = volume.tree().read_text_if_exists(&clone.join("PG_VERSION"))?;
    let is_own = version.is_some_and(|version| version.trim() == own.to_string());
    Ok(is_own && volume.tree().exists(&clone.join("global/pg_control"))?)
}

/// Decides on a step.
pub fn decide(step: CloneStep, found: Found, situation: &Situation<'_>) -> Result<(), Refusal> {
    let (volume, own) = (situation.volume, situation.own);
    refuse_for_all(situation)?;
    if let Some(active) = situation.active.filter(|active| *active != own) {
        return Err(Refusal::WrongVersion { own, active });
    }
    if found.data {
        return Err(Refusal::DataExists(volume.data_dir(own)));
    }
    match (step, situation.previous) {
        (_, Previous::Runs { program, pid }) => Err(Refusal::Busy { program, pid }),
        (CloneStep::Publish, Previous::Leftovers) => {
            Err(Refusal::Leftovers("they may still write to the clone".to_owned()))
        }
        (CloneStep::Publish, Previous::Ended) if !found.complete => {
            Err(Refusal::Incomplete(new_data_dir(volume, own)))
        }
        (CloneStep::Publish, Previous::Ended) | (CloneStep::Prepare, _) => Ok(()),
    }
}

/// Does a step that was decided.
pub fn perform(step: CloneStep, volume: &Volume, own: u32) -> Result<(), FileError> {
    match step {
        CloneStep::Prepare => prepare_initdb_dir(volume, own).map(drop),
        // In this order: data that is not active would neither be started nor cloned again.
        CloneStep::Publish => {
            volume.set_active(own)?;
            publish(volume, own)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::{Freeze, Holding};
    use super::super::program::Gated;
    use super::*;
    use crate::fixtures::volume;
    use std::fs;

    const COMPLETE: Found = Found { data: false, complete: true };

    fn situation(volume: &Volume) -> Situation<'_> {
        Situation {
            volume,
            own: 17,
            active: None,
            holding: Holding::Held,
            frozen: None,
            previous: Previous::Ended,
        }
    }

    /// Every combination: a clone becomes data only if it is complete, and nothing at all is against it.
    #[test]
    fn clone_becomes_data_only_where_there_is_none_and_nothing_runs() {
        let (_root, volume) = volume();
        let runs = Previous::Runs { program: Gated::PgBasebackup, pid: 4711 };
        let mut done = 0;
        for step in [CloneStep::Prepare, CloneStep::Publish] {
            for (data, complete) in [(false, false), (false, true), (true, false), (true, true)] {
                for active in [None, Some(17), Some(13)] {
                    for holding in [Holding::Held, Holding::NotHeld] {
                        for frozen in [None, Some(Freeze::Terminating), Some(Freeze::WatchdogFired)] {
                            for previous in [Previous::Ended, Previous::Leftovers, runs] {
                                let situation =
                                    Situation { active, holding, frozen, previous, ..situation(&volume) };
                                let is_done = decide(step, Found { data, complete }, &situation).is_ok();
                                let may = !data
                                    && active != Some(13)
                                    && holding == Holding::Held
                                    && frozen.is_none()
                                    && match step {
                                        CloneStep::Prepare => previous != runs,
                                        CloneStep::Publish => complete && previous == Previous::Ended,
                                    };
                                assert_eq!(is_done, may, "{step:?} {data} {complete} {situation:?}");
                                done += usize::from(is_done);
                            }
                        }
                    }
                }
            }
        }
        // Two active versions; complete or not, and two previous ones, for the first step.
        assert_eq!(done, 2 * (2 * 2) + 2);
    }

    #[test]
    fn refusal_says_what_is_against_it() {
        let (_root, volume) = volume();
        let refused = |found| decide(CloneStep::Publish, found, &situation(&volume)).unwrap_err().to_string();
        let text = refused(Found { data: true, ..COMPLETE });
        assert!(text.contains("17/data exists, and is never replaced"), "{text}");
        let text = refused(Found { complete: false, ..COMPLETE });
        assert!(text.contains("17/data.new is not complete"), "{text}");
    }

    #[test]
    fn clone_is_complete_with_the_control_file_of_its_version() {
        let (root, volume) = volume();
        let observe = || Found::observe(&volume, 17).unwrap();
        assert_eq!(observe(), Found { data: false, complete: false });
        let clone = root.path().join("17/data.new");
        fs::create_dir_all(clone.join("global")).unwrap();
        fs::write(clone.join("PG_VERSION"), "17\n").unwrap();
        assert!(!observe().complete);
        fs::write(clone.join("global/pg_control"), "").unwrap();
        assert_eq!(observe(), COMPLETE);
        fs::write(clone.join("PG_VERSION"), "16\n").unwrap();
        assert!(!observe().complete);
    }

    #[test]
    fn published_clone_is_active_and_a_failed_one_leaves_nothing() {
        let (root, volume) = volume();
        let leftover = root.path().join("17/data.new/base");
        fs::create_dir_all(&leftover).unwrap();
        perform(CloneStep::Prepare, &volume, 17).unwrap();
        assert!(!root.path().join("17/data.new").exists());
        fs::create_dir(root.path().join("17/data.new")).unwrap();
        perform(CloneStep::Publish, &volume, 17).unwrap();
        assert!(root.path().join("17/data").exists());
        assert_eq!(volume.active().unwrap(), Some(17));
    }
}
