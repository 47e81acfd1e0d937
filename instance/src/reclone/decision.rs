//! Whether a standby is cloned again.

use std::path::PathBuf;
use std::time::Duration;

use pgops_api::rollout::{Lock, Patroni};
use pgops_volume::Space;

use crate::cluster::Shared;
use crate::replacement::Identity;

/// Time for which a standby must not have followed. A primary that cannot be reached has a new pod, or a successor, before: Kubernetes
/// evicts the pods of a node that does not respond after 300 s (`DefaultTolerationSeconds`), and this is twice that.
pub const PATIENCE: Duration = Duration::from_mins(10);
/// Time after a clone in which no other one is made: each reads all data of the primary.
pub const PAUSE: Duration = Duration::from_hours(1);

/// Time after a clone in which its server starts and begins to stream.
const SETTLING: Duration = Duration::from_mins(2);

/// Who has the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lead {
    This,
    /// Another member has renewed it since the previous look.
    Another,
    Unknown,
}

impl Lead {
    /// Who has it by two looks, of which each may have had no answer.
    pub fn of(own: &str, before: Option<&Shared>, now: Option<&Shared>) -> Self {
        let Some(Lock { holder: Some(holder), renewed, .. }) = now.map(|now| &now.lock) else {
            return Self::Unknown;
        };
        if holder == own {
            return Self::This;
        }
        match before {
            // Clocks are not compared. A record that does not change is that of a server that was lost.
            Some(before) if renewed.is_some() && before.lock.renewed != *renewed => Self::Another,
            _ => Self::Unknown,
        }
    }
}

/// Which program works on the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// None but the server.
    Server,
    /// A clone or a rewind.
    Repair,
}

/// What it depends on whether a standby has to be cloned again.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// For how long it has not followed.
    pub behind: Duration,
    /// Since when no clone runs, if there was one.
    pub since_clone: Option<Duration>,
    pub lead: Lead,
    pub patroni: Patroni,
    pub work: Work,
}

/// Whether it has to be.
pub fn is_due(facts: &Facts) -> bool {
    facts.lead == Lead::Another
        && facts.patroni == Patroni::Active
        && facts.work == Work::Server
        && facts.behind >= PATIENCE
        && facts.since_clone.is_none_or(|time| time >= PAUSE)
}

/// Whether a clone did not help: it would be due, had none run a short time ago.
pub fn was_in_vain(facts: &Facts) -> bool {
    let is_recent = facts.since_clone.is_some_and(|time| time >= SETTLING && time < PAUSE);
    is_recent && is_due(&Facts { since_clone: None, ..*facts })
}

/// What a clone finds on the volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Room {
    /// Bytes of the data. The other servers have about as many.
    pub data: u64,
    /// Bytes of a clone that was not completed, which is removed before.
    pub leftover: u64,
    pub space: Space,
    /// A tablespace outside of the data directory.
    pub tablespace: Option<PathBuf>,
    /// Whether the data is of the database that the servers share.
    pub identity: Identity,
}

/// What is against a clone that is due.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum Obstacle {
    #[error(
        "the volume has {} MiB free, and a second copy of the data needs {} MiB: expand the volume, or delete the pod together with \
         its PersistentVolumeClaim", .free >> 20, .needed >> 20
    )]
    Space { needed: u64, free: u64 },
    #[error(
        "tablespace {} is outside of the data directory, so there cannot be a second copy of it: delete the pod together with its \
         PersistentVolumeClaim", .0.display()
    )]
    Tablespace(PathBuf),
    #[error(
        "its data is that of another database, by the system identifier: if nothing of it is needed, delete the pod together with \
         its PersistentVolumeClaim"
    )]
    OtherDatabase,
}

/// The first thing that is against it.
pub fn obstacle(room: &Room) -> Option<Obstacle> {
    if room.identity == Identity::Other {
        return Some(Obstacle::OtherDatabase);
    }
    if let Some(tablespace) = &room.tablespace {
        return Some(Obstacle::Tablespace(tablespace.clone()));
    }
    let (free, needed) = (room.space.free + room.leftover, room.data + room.space.reserve());
    (free < needed).then_some(Obstacle::Space { needed, free })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(holder: Option<&str>, renewed: Option<&str>) -> Shared {
        let lock = Lock {
            holder: holder.map(ToOwned::to_owned),
            renewed: renewed.map(|time| time.parse().unwrap()),
            ..Lock::default()
        };
        Shared { lock, patroni: Patroni::Active, identity: None }
    }

    #[test]
    fn another_member_leads_only_if_it_renews_the_lock() {
        let at = |seconds: u32| shared(Some("orders-1"), Some(&format!("2026-11-20T10:00:{seconds:02}Z")));
        let lead = |before: Option<&Shared>, now: Option<&Shared>| Lead::of("orders-0", before, now);
        assert_eq!(lead(Some(&at(1)), Some(&at(4))), Lead::Another);
        assert_eq!(lead(Some(&at(1)), Some(&at(1))), Lead::Unknown, "it may be lost");
        assert_eq!(lead(None, Some(&at(1))), Lead::Unknown);
        assert_eq!(lead(Some(&at(1)), None), Lead::Unknown);
        assert_eq!(lead(Some(&at(1)), Some(&shared(None, Some("2026-11-20T10:00:04Z")))), Lead::Unknown);
        assert_eq!(lead(Some(&at(1)), Some(&shared(Some("orders-1"), None))), Lead::Unknown);
        assert_eq!(Lead::of("orders-1", Some(&at(1)), Some(&at(4))), Lead::This);
    }

    /// Every combination.
    #[test]
    fn standby_is_cloned_again_only_if_another_leads_and_it_has_not_followed_for_long() {
        let shorter = |time: Duration| Duration::from_secs(time.as_secs() - 1);
        let mut due = 0;
        for behind in [shorter(PATIENCE), PATIENCE] {
            for since_clone in [None, Some(shorter(PAUSE)), Some(PAUSE)] {
                for lead in [Lead::This, Lead::Another, Lead::Unknown] {
                    for patroni in [Patroni::Active, Patroni::Paused] {
                        for work in [Work::Server, Work::Repair] {
                            let facts = Facts { behind, since_clone, lead, patroni, work };
                            due += usize::from(is_due(&facts));
                        }
                    }
                }
            }
        }
        assert_eq!(due, 2, "never cloned, or long ago");
        let facts = Facts {
            behind: PATIENCE,
            since_clone: None,
            lead: Lead::Another,
            patroni: Patroni::Active,
            work: Work::Server,
        };
        assert!(is_due(&facts) && !was_in_vain(&facts));
        let recent = Facts { since_clone: Some(shorter(PAUSE)), ..facts };
        assert!(was_in_vain(&recent));
        assert!(!was_in_vain(&Facts { since_clone: Some(Duration::from_secs(1)), ..recent }), "it starts");
        assert!(!was_in_vain(&Facts { behind: shorter(PATIENCE), ..recent }), "it follows");
    }

    #[test]
    fn clone_needs_space_for_a_second_copy_of_the_same_database() {
        const GIBIBYTE: u64 = 1 << 30;
        let space = Space { free: 5 * GIBIBYTE, size: 20 * GIBIBYTE };
        let room =
            Room { data: 4 * GIBIBYTE, leftover: 0, space, tablespace: None, identity: Identity::Unknown };
        assert_eq!(obstacle(&room), None);
        let larger = Room { data: 4 * GIBIBYTE + 1, ..room.clone() };
        let text = obstacle(&larger).unwrap().to_string();
        assert!(text.contains("has 5120 MiB free") && text.contains("needs 5120"), "{text}");
        assert_eq!(obstacle(&Room { leftover: 1, ..larger }), None);
        let outside = Room { tablespace: Some("/var/pv/fast".into()), ..room.clone() };
        assert!(obstacle(&outside).unwrap().to_string().contains("tablespace /var/pv/fast is outside"));
        let other = Room { identity: Identity::Other, ..room };
        assert_eq!(obstacle(&other), Some(Obstacle::OtherDatabase));
    }
}
