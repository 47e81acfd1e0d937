//! What to do with a volume: one pure decision on what is seen there.

use std::fmt;

use pgops_api::Postgres;
use pgops_api::layout;
use pgops_api::names;
use pgops_api::postgres::StorageType;

/// What is on a volume.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VolumeState {
    /// The major version that the volume says serves.
    pub active: Option<u32>,
    /// Major versions that have a data directory, ascending.
    pub data_dirs: Vec<u32>,
    /// A data directory that is not ours is there: `KubeDB`'s `/var/pv/data`.
    pub foreign: bool,
}

/// What an instance does with a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Boot {
    /// The own major version serves: start.
    Start,
    /// initdb had finished when an earlier instance was killed: write down who serves, then start.
    Adopt,
    /// Nothing is there: initialise, if the `Postgres` object says that nothing ever was.
    Initialise,
    /// Another major version serves.
    WaitFor {
        /// The version that serves.
        serving: u32,
    },
    /// Something is wrong that only a person can put right.
    Refuse(Refusal),
}

/// Why an instance neither starts nor initialises.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// The volume says that a version serves whose data directory is gone.
    DataMissing(u32),
    /// Data directories without a word on which one serves.
    Undecided {
        /// Major version of this pod.
        own: u32,
        /// Major versions that have data.
        found: Vec<u32>,
    },
    /// The volume belongs to a database of another operator.
    Foreign,
    /// The volume is empty, but the database is not new.
    InitialisedBefore,
    /// The volume is empty, and there is no such `Postgres`.
    NoSuchDatabase,
}

/// Decides what an instance of the major version `own` does with a volume.
pub fn decide(own: u32, volume: &VolumeState) -> Boot {
    match (volume.active, volume.data_dirs.as_slice()) {
        (Some(serving), _) if serving != own => Boot::WaitFor { serving },
        (Some(_), found) if found.contains(&own) => Boot::Start,
        (Some(_), _) => Boot::Refuse(Refusal::DataMissing(own)),
        (None, _) if volume.foreign => Boot::Refuse(Refusal::Foreign),
        (None, []) => Boot::Initialise,
        (None, [one]) if *one == own => Boot::Adopt,
        (None, found) => Boot::Refuse(Refusal::Undecided { own, found: found.to_vec() }),
    }
}

/// Whether an empty volume may be initialised, by what the API server knows of the database.
///
/// An ephemeral database is new with each pod: its volume never was another pod's.
pub fn may_initialise(database: Option<&Postgres>) -> Result<(), Refusal> {
    let database = database.ok_or(Refusal::NoSuchDatabase)?;
    let ephemeral = database.spec.storage_type == Some(StorageType::Ephemeral);
    if database.was_initialized() && !ephemeral { Err(Refusal::InitialisedBefore) } else { Ok(()) }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataMissing(major) => write!(
                f,
                "{} says that major version {major} serves, but {} is missing: restore the volume from a backup",
                layout::ACTIVE_FILE,
                layout::pgdata(*major),
            ),
            Self::Undecided { own, found } => {
                let found = found.iter().map(|major| layout::pgdata(*major)).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "the volume holds {found} and no {}, so this pod of major version {own} cannot tell which one \
                     serves: set the Postgres's spec.version back, or write the major version that serves into that file",
                    layout::ACTIVE_FILE,
                )
            }
            Self::Foreign => write!(
                f,
                "the volume holds {}/data, which pgops did not make: give the database a volume of its own",
                layout::VOLUME_ROOT,
            ),
            Self::InitialisedBefore => write!(
                f,
                "the volume at {} is empty although this database was initialised before, so it is not initialised \
                 again: restore the volume from a backup, or, to begin anew without the old data, delete the Postgres \
                 and create it again",
                layout::VOLUME_ROOT,
            ),
            Self::NoSuchDatabase => write!(
                f,
                "the volume is empty and there is no such Postgres (kubectl get {}), so it is not initialised",
                names::LABEL_NAME_VALUE,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::postgres::PostgresSpec;
    use rstest::rstest;

    fn refuse(own: u32, found: &[u32]) -> Boot {
        Boot::Refuse(Refusal::Undecided { own, found: found.to_vec() })
    }

    #[rstest]
    #[case::the_own_version_serves(Some(13), &[13], Boot::Start)]
    #[case::the_new_data_stands_beside_it(Some(13), &[13, 17], Boot::Start)]
    #[case::another_version_serves(Some(17), &[13, 17], Boot::WaitFor { serving: 17 })]
    #[case::another_version_serves_alone(Some(17), &[17], Boot::WaitFor { serving: 17 })]
    #[case::its_data_is_gone(Some(13), &[], Boot::Refuse(Refusal::DataMissing(13)))]
    #[case::only_other_data_is_left(Some(13), &[17], Boot::Refuse(Refusal::DataMissing(13)))]
    #[case::new(None, &[], Boot::Initialise)]
    #[case::killed_before_the_last_step(None, &[13], Boot::Adopt)]
    #[case::data_of_another_version(None, &[17], refuse(13, &[17]))]
    #[case::data_of_two_versions(None, &[13, 17], refuse(13, &[13, 17]))]
    fn decides_for_a_pod_of_major_version_13(
        #[case] active: Option<u32>,
        #[case] data_dirs: &[u32],
        #[case] expected: Boot,
    ) {
        let volume = VolumeState { active, data_dirs: data_dirs.to_vec(), foreign: false };
        assert_eq!(decide(13, &volume), expected);
    }

    #[test]
    fn never_initialises_or_adopts_beside_data_that_is_not_ours() {
        for data_dirs in [vec![], vec![13]] {
            let volume = VolumeState { active: None, data_dirs, foreign: true };
            assert_eq!(decide(13, &volume), Boot::Refuse(Refusal::Foreign));
        }
    }

    #[test]
    fn initialises_nothing_that_was_initialised_before() {
        let mut database = Postgres::new("orders", PostgresSpec::default());
        assert_eq!(may_initialise(Some(&database)), Ok(()));
        assert_eq!(may_initialise(None), Err(Refusal::NoSuchDatabase));
        database.metadata.annotations =
            Some([(names::ANNOTATION_INITIALIZED.to_owned(), "2026-11-16T19:40:00Z".to_owned())].into());
        assert_eq!(may_initialise(Some(&database)), Err(Refusal::InitialisedBefore));
        database.spec.storage_type = Some(StorageType::Ephemeral);
        assert_eq!(may_initialise(Some(&database)), Ok(()));
    }

    #[test]
    fn a_refusal_names_the_place_and_the_remedy() {
        let text = Refusal::Undecided { own: 13, found: vec![13, 17] }.to_string();
        assert!(text.contains("/var/pv/13/data, /var/pv/17/data and no /var/pv/.pgops/active"), "{text}");
        assert!(Refusal::InitialisedBefore.to_string().contains("restore the volume"));
    }
}
