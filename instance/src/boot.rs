//! What an instance does with its volume: pure decisions on what the volume holds, and whose it is.

use std::fmt;

use pgops_api::Postgres;
use pgops_api::layout::{ACTIVE_FILE, VOLUME_ROOT, pgdata};
use pgops_api::names;
use pgops_api::postgres::StorageType;

/// What a volume holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VolumeState {
    /// The active version.
    pub active: Option<u32>,
    /// Major versions that have a data directory, ascending.
    pub data_dirs: Vec<u32>,
    /// Whether there is a data directory that pgops did not create: `KubeDB`'s `/var/pv/data`.
    pub foreign: bool,
}

/// What an instance does with a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Boot {
    /// The own major version is active: start.
    Start,
    /// initdb had finished when a previous instance was killed: record the active version, then start.
    Adopt,
    /// The volume is empty: initialise, if the `Postgres` object says that the database is new.
    Initialise,
    /// The volume has no data, and other servers of the database have: Patroni has this one cloned.
    Clone,
    /// Another major version is active.
    WaitFor { active: u32 },
    /// Something is wrong that only an operator can fix.
    Refuse(BootRefusal),
}

/// Which of its database's servers an instance runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// There is no other.
    Only,
    /// The only one that may initialise the database: two that did would have two databases.
    First,
    /// Its data always is a clone.
    Other,
}

/// Whether the data has the roles by which the servers of a database reach each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemberRoles {
    Exist,
    /// No server of them has led yet: the data is new, or that of a database that had one server.
    Missing,
}

/// Why an instance neither starts nor initialises.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BootRefusal {
    /// The active version has no data directory.
    DataMissing(u32),
    /// There are data directories, but no active version.
    Undecided {
        /// Major version of this pod.
        own: u32,
        /// Major versions that have a data directory.
        found: Vec<u32>,
    },
    /// The volume belongs to a database of another controller.
    Foreign,
    /// The volume is empty, but the database is not new.
    InitialisedBefore,
    /// The volume is empty, and its `Postgres` does not exist.
    NoSuchDatabase,
}

/// Decides what an instance of the major version `own` does with a volume.
pub fn decide(own: u32, place: Place, volume: &VolumeState) -> Boot {
    match (volume.active, volume.data_dirs.as_slice()) {
        (Some(active), _) if active != own => Boot::WaitFor { active },
        (Some(_), found) if found.contains(&own) => Boot::Start,
        // A clone replaces nothing, and the others have what is missing, or it is missing for ever.
        (Some(_), _) if place != Place::Only => Boot::Clone,
        (Some(_), _) => Boot::Refuse(BootRefusal::DataMissing(own)),
        (None, _) if volume.foreign => Boot::Refuse(BootRefusal::Foreign),
        (None, []) if place == Place::Other => Boot::Clone,
        (None, []) => Boot::Initialise,
        (None, [one]) if *one == own => Boot::Adopt,
        (None, found) => Boot::Refuse(BootRefusal::Undecided { own, found: found.to_vec() }),
    }
}

/// Whether an empty volume may be initialised, according to the `Postgres` object.
///
/// An ephemeral database is new in each pod: its volume never belonged to another pod.
pub fn may_initialise(database: Option<&Postgres>) -> Result<(), BootRefusal> {
    let database = database.ok_or(BootRefusal::NoSuchDatabase)?;
    let ephemeral = database.spec.storage_type == Some(StorageType::Ephemeral);
    if database.was_initialized() && !ephemeral { Err(BootRefusal::InitialisedBefore) } else { Ok(()) }
}

/// What the first of several servers does with an empty volume: it initialises the database once, and is cloned ever after.
///
/// `identity` is what Patroni has recorded as the system identifier of the servers' database, which it does before the provisioner
/// records that a server has answered, so a volume that is lost in between is not initialised a second time. And it counts for
/// ephemeral databases, which one server alone initialises for each pod.
pub fn first_member(database: Option<&Postgres>, identity: Option<&str>) -> Result<Boot, BootRefusal> {
    match (may_initialise(database), identity) {
        (Err(BootRefusal::NoSuchDatabase), _) => Err(BootRefusal::NoSuchDatabase),
        (Ok(()), None) => Ok(Boot::Initialise),
        (Ok(()), Some(_)) | (Err(_), _) => Ok(Boot::Clone),
    }
}

/// Whether data on which Patroni never ran has the roles. Only before a server has led is it certain that writing to the data in
/// another way than by the primary makes it differ from no other copy.
pub fn member_roles(identity: Option<&str>) -> MemberRoles {
    if identity.is_none() { MemberRoles::Missing } else { MemberRoles::Exist }
}

impl fmt::Display for BootRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataMissing(major) => write!(
                f,
                "{ACTIVE_FILE} names major version {major}, but {} is missing: restore the volume from a backup",
                pgdata(*major),
            ),
            Self::Undecided { own, found } => {
                let found = found.iter().map(|major| pgdata(*major)).collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "the volume holds {found} but no {ACTIVE_FILE}, so this pod of major version {own} cannot tell \
                     which version is active: set spec.version of the Postgres back, or write the active major version \
                     to that file",
                )
            }
            Self::Foreign => write!(
                f,
                "the volume holds {VOLUME_ROOT}/data, which pgops did not create: give the database its own volume",
            ),
            Self::InitialisedBefore => write!(
                f,
                "the volume at {VOLUME_ROOT} is empty although this database was initialised before, so it is not \
                 initialised again: restore the volume from a backup or, to start without the old data, delete the \
                 Postgres and create it again",
            ),
            Self::NoSuchDatabase => write!(
                f,
                "the volume is empty and its Postgres does not exist (kubectl get {}), so it is not initialised",
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
        Boot::Refuse(BootRefusal::Undecided { own, found: found.to_vec() })
    }

    #[rstest]
    #[case::own_version_is_active(Some(13), &[13], Boot::Start)]
    #[case::own_version_is_active_next_to_new_data(Some(13), &[13, 17], Boot::Start)]
    #[case::another_version_is_active(Some(17), &[13, 17], Boot::WaitFor { active: 17 })]
    #[case::another_version_is_active_without_own_data(Some(17), &[17], Boot::WaitFor { active: 17 })]
    #[case::active_data_is_missing(Some(13), &[], Boot::Refuse(BootRefusal::DataMissing(13)))]
    #[case::active_data_is_missing_next_to_other_data(Some(13), &[17], Boot::Refuse(BootRefusal::DataMissing(13)))]
    #[case::new(None, &[], Boot::Initialise)]
    #[case::killed_before_the_activation(None, &[13], Boot::Adopt)]
    #[case::data_of_another_version(None, &[17], refuse(13, &[17]))]
    #[case::data_of_two_versions(None, &[13, 17], refuse(13, &[13, 17]))]
    fn boot_decision_of_a_pod_of_major_version_13(
        #[case] active: Option<u32>,
        #[case] data_dirs: &[u32],
        #[case] expected: Boot,
    ) {
        let volume = VolumeState { active, data_dirs: data_dirs.to_vec(), foreign: false };
        assert_eq!(decide(13, Place::Only, &volume), expected);
        // The first of several servers differs only where data is missing that the others may have.
        let of_first = match expected {
            Boot::Refuse(BootRefusal::DataMissing(_)) => Boot::Clone,
            other => other,
        };
        assert_eq!(decide(13, Place::First, &volume), of_first);
        let of_other = if of_first == Boot::Initialise { Boot::Clone } else { of_first };
        assert_eq!(decide(13, Place::Other, &volume), of_other);
    }

    #[test]
    fn volume_with_foreign_data_is_neither_initialised_nor_adopted() {
        for data_dirs in [vec![], vec![13]] {
            let volume = VolumeState { active: None, data_dirs, foreign: true };
            for place in [Place::Only, Place::First, Place::Other] {
                assert_eq!(decide(13, place, &volume), Boot::Refuse(BootRefusal::Foreign), "{place:?}");
            }
        }
    }

    #[test]
    fn database_is_not_initialised_twice() {
        let mut database = Postgres::new("orders", PostgresSpec::default());
        assert_eq!(may_initialise(Some(&database)), Ok(()));
        assert_eq!(may_initialise(None), Err(BootRefusal::NoSuchDatabase));
        database.metadata.annotations =
            Some([(names::ANNOTATION_INITIALIZED.to_owned(), "2026-11-16T19:40:00Z".to_owned())].into());
        assert_eq!(may_initialise(Some(&database)), Err(BootRefusal::InitialisedBefore));
        database.spec.storage_type = Some(StorageType::Ephemeral);
        assert_eq!(may_initialise(Some(&database)), Ok(()));
    }

    #[test]
    fn first_member_initialises_a_new_database_once_and_is_cloned_ever_after() {
        let mut database = Postgres::new("orders", PostgresSpec::default());
        let recorded = Some("7578143241987891234");
        assert_eq!(first_member(Some(&database), None), Ok(Boot::Initialise));
        assert_eq!(first_member(Some(&database), recorded), Ok(Boot::Clone), "a server is about to answer");
        assert_eq!(first_member(None, None), Err(BootRefusal::NoSuchDatabase));
        assert_eq!(first_member(None, recorded), Err(BootRefusal::NoSuchDatabase));
        database.metadata.annotations =
            Some([(names::ANNOTATION_INITIALIZED.to_owned(), "2026-11-16T19:40:00Z".to_owned())].into());
        // The records of a major version that is new have no identity.
        assert_eq!(first_member(Some(&database), None), Ok(Boot::Clone));
        assert_eq!(first_member(Some(&database), recorded), Ok(Boot::Clone));
        database.spec.storage_type = Some(StorageType::Ephemeral);
        assert_eq!(first_member(Some(&database), recorded), Ok(Boot::Clone), "the others have the data");
        assert_eq!(first_member(Some(&database), None), Ok(Boot::Initialise));
    }

    #[test]
    fn refusal_names_the_path_and_the_remedy() {
        let text = BootRefusal::Undecided { own: 13, found: vec![13, 17] }.to_string();
        assert!(text.contains("/var/pv/13/data, /var/pv/17/data but no /var/pv/.pgops/active"), "{text}");
        assert!(BootRefusal::InitialisedBefore.to_string().contains("restore the volume"));
    }
}
