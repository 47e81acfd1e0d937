//! The steps of a clone that PID 1 does itself. A clone becomes the data directory where there is none. It replaces data only while
//! another server leads, from which it is made, and keeps that data under another name.

use pgops_volume::{FileError, Volume};

use super::decision::{Previous, Refusal, Situation, refuse_for_all};
use super::message::CloneStep;
use crate::replacement::{Identity, is_complete, replace, system_identifier};
use crate::volume::{new_data_dir, prepare_initdb_dir, publish};

/// What is on the volume of a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// Whether there is a data directory, whatever is in it.
    pub data: bool,
    /// Whether the clone has its last file.
    pub complete: bool,
    /// Whether both are of one database.
    pub identity: Identity,
}

/// Whether a clone may replace data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replacement {
    Allowed,
    Refused,
}

impl Found {
    pub fn observe(volume: &Volume, own: u32) -> Result<Self, FileError> {
        let data = volume.data_dir(own);
        let [old, new] = [&data, &new_data_dir(volume, own)].map(|path| system_identifier(volume, path));
        Ok(Self {
            data: volume.tree().exists(&data)?,
            complete: is_complete(volume, own)?,
            identity: Identity::of(old, new),
        })
    }
}

/// Decides on a step.
pub fn decide(
    step: CloneStep,
    found: Found,
    replacement: Replacement,
    situation: &Situation<'_>,
) -> Result<(), Refusal> {
    let (volume, own) = (situation.volume, situation.own);
    refuse_for_all(situation)?;
    if let Some(active) = situation.active.filter(|active| *active != own) {
        return Err(Refusal::WrongVersion { own, active });
    }
    if found.data && replacement == Replacement::Refused {
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
        (CloneStep::Publish, Previous::Ended) if found.data && found.identity == Identity::Other => {
            Err(Refusal::OtherDatabase(volume.data_dir(own)))
        }
        (CloneStep::Publish, Previous::Ended) | (CloneStep::Prepare, _) => Ok(()),
    }
}

/// Does a step that was decided.
pub fn perform(step: CloneStep, found: Found, volume: &Volume, own: u32) -> Result<(), FileError> {
    match step {
        CloneStep::Prepare => prepare_initdb_dir(volume, own).map(drop),
        CloneStep::Publish if found.data => replace(volume, own),
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
    use super::super::fixture;
    use super::super::program::Gated;
    use super::*;
    use crate::fixtures::volume;
    use std::fs;

    const COMPLETE: Found = Found { data: false, complete: true, identity: Identity::Unknown };

    fn situation(volume: &Volume) -> Situation<'_> {
        Situation { active: None, ..fixture::situation(volume) }
    }

    fn founds() -> Vec<Found> {
        let mut founds = Vec::new();
        for (data, complete) in [(false, false), (false, true), (true, false), (true, true)] {
            for identity in [Identity::Same, Identity::Other, Identity::Unknown] {
                founds.push(Found { data, complete, identity });
            }
        }
        founds
    }

    /// What may be against a step and has nothing to do with what was found.
    fn situations(volume: &Volume) -> Vec<Situation<'_>> {
        let runs = Previous::Runs { program: Gated::PgBasebackup, pid: 4711 };
        let mut situations = Vec::new();
        for active in [None, Some(17), Some(13)] {
            for holding in [Holding::Held, Holding::NotHeld] {
                for frozen in [None, Some(Freeze::Terminating), Some(Freeze::WatchdogFired)] {
                    for previous in [Previous::Ended, Previous::Leftovers, runs] {
                        situations.push(Situation { active, holding, frozen, previous, ..situation(volume) });
                    }
                }
            }
        }
        situations
    }

    /// Every combination: a clone becomes data only if it is complete, and nothing at all is against it.
    #[test]
    fn clone_replaces_data_only_if_it_may_and_nothing_runs() {
        let (_root, volume) = volume();
        let mut done = 0;
        for step in [CloneStep::Prepare, CloneStep::Publish] {
            for replacement in [Replacement::Allowed, Replacement::Refused] {
                for (found, situation) in founds()
                    .into_iter()
                    .flat_map(|found| situations(&volume).into_iter().map(move |it| (found, it)))
                {
                    let is_done = decide(step, found, replacement, &situation).is_ok();
                    let may = (!found.data || replacement == Replacement::Allowed)
                        && situation.active != Some(13)
                        && situation.holding == Holding::Held
                        && situation.frozen.is_none()
                        && match step {
                            CloneStep::Prepare => !matches!(situation.previous, Previous::Runs { .. }),
                            CloneStep::Publish => {
                                found.complete
                                    && situation.previous == Previous::Ended
                                    && !(found.data && found.identity == Identity::Other)
                            }
                        };
                    assert_eq!(is_done, may, "{step:?} {found:?} {replacement:?} {situation:?}");
                    done += usize::from(is_done);
                }
            }
        }
        // Two active versions. Of what was found six are without data, and six with data that may be replaced.
        let prepared = 2 * 2 * (6 + 6 + 6);
        let published = 2 * (3 + 3 + 2);
        assert_eq!(done, prepared + published);
    }

    #[test]
    fn refusal_says_what_is_against_it() {
        let (_root, volume) = volume();
        let refused = |found, replacement| {
            decide(CloneStep::Publish, found, replacement, &situation(&volume)).unwrap_err().to_string()
        };
        let replacing = Found { data: true, ..COMPLETE };
        let text = refused(replacing, Replacement::Refused);
        assert!(text.contains("17/data exists, and is replaced by a clone only while another"), "{text}");
        let text = refused(Found { identity: Identity::Other, ..replacing }, Replacement::Allowed);
        assert!(text.contains("17/data is the data of another database"), "{text}");
        let text = refused(Found { complete: false, ..COMPLETE }, Replacement::Refused);
        assert!(text.contains("17/data.new is not complete"), "{text}");
    }

    #[test]
    fn published_clone_is_active_and_a_failed_one_leaves_nothing() {
        let (root, volume) = volume();
        let leftover = root.path().join("17/data.new/base");
        fs::create_dir_all(&leftover).unwrap();
        perform(CloneStep::Prepare, COMPLETE, &volume, 17).unwrap();
        assert!(!root.path().join("17/data.new").exists());
        fs::create_dir(root.path().join("17/data.new")).unwrap();
        perform(CloneStep::Publish, COMPLETE, &volume, 17).unwrap();
        assert!(root.path().join("17/data").exists());
        assert_eq!(volume.active().unwrap(), Some(17));
    }

    #[test]
    fn replaced_data_keeps_another_name() {
        let (root, volume) = volume();
        for (directory, identifier) in [("data", 7_u64), ("data.new", 7)] {
            let directory = root.path().join("17").join(directory);
            fs::create_dir_all(directory.join("global")).unwrap();
            fs::write(directory.join("PG_VERSION"), "17\n").unwrap();
            fs::write(directory.join("global/pg_control"), identifier.to_ne_bytes()).unwrap();
        }
        fs::write(root.path().join("17/data/damaged"), "").unwrap();
        let found = Found::observe(&volume, 17).unwrap();
        assert_eq!(found, Found { data: true, complete: true, identity: Identity::Same });
        perform(CloneStep::Publish, found, &volume, 17).unwrap();
        assert!(!root.path().join("17/data/damaged").exists());
        assert!(root.path().join("17/data.old.1/damaged").exists());
    }
}
