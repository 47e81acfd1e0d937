//! Looks at the server, has Patroni clone it again when that is due, and removes old data when that is replaced.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use pgops_api::display_chain;
use pgops_volume::{FileError, Volume};
use tokio::sync::oneshot;

use super::decision::{Facts, Lead, Room, Work, is_due, obstacle, was_in_vain};
use super::look::{ask, recovered_segment};
use super::track::{Seen, Track};
use crate::cluster::{self, Shared};
use crate::gate::{Access, Gated, Previous};
use crate::ha::{self, Member};
use crate::replacement::{self, Identity};
use crate::report::StatusReport;
use crate::session::OwnSessions;
use crate::volume::new_data_dir;

/// Pause between two looks. A receiver that fails is started again after 5 s, and Patroni renews its lock every 3 s.
const INTERVAL: Duration = Duration::from_secs(10);
/// Pause between two attempts to have the server cloned: each measures the data.
const ATTEMPT_INTERVAL: Duration = Duration::from_mins(1);
/// Time for which a look permits that data is replaced.
const PERMISSION: Duration = Duration::from_secs(30);
/// Time that reading the titles of processes may take.
const TITLES_TIMEOUT: Duration = Duration::from_secs(2);

/// What is reported after a clone that did not help.
const IN_VAIN: &str =
    "a clone has ended within the last hour, and has failed or did not help: see the log of the container";

/// A server of several.
pub struct Standby {
    pub member: Member,
    pub volume: Volume,
    pub access: Access,
    pub report: Arc<StatusReport>,
    pub sessions: OwnSessions,
}

/// What is known from earlier looks. Times are since the first one.
struct Known {
    track: Track,
    shared: Option<Shared>,
    /// When a clone was seen or asked for.
    cloned: Option<Duration>,
    next_attempt: Duration,
    /// Whether there may be old data.
    old: Old,
    problem: Option<String>,
}

/// Whether the volume may have old data.
#[derive(Clone, Copy)]
enum Old {
    Possible,
    None,
}

/// Watches until the process ends.
pub fn watch(standby: Standby) {
    tokio::spawn(async move {
        let begin = Instant::now();
        let mut known = Known {
            track: Track::new(Duration::ZERO),
            shared: None,
            cloned: None,
            next_attempt: Duration::ZERO,
            old: Old::Possible,
            problem: None,
        };
        loop {
            tokio::time::sleep(INTERVAL).await;
            standby.look(&mut known, begin.elapsed()).await;
        }
    });
}

impl Standby {
    async fn look(&self, known: &mut Known, now: Duration) {
        let seen = self.see().await;
        known.track = known.track.clone().look(now, &seen);
        known.old = match (known.track.streams(), known.old) {
            // It may have been cloned, also by hand, since the previous look: then its receiver is another process.
            (false, _) => Old::Possible,
            (true, Old::Possible) => self.remove_old().await,
            (true, Old::None) => Old::None,
        };
        let shared = cluster::shared(&self.member.namespace, &self.member.scope).await.ok();
        let lead = Lead::of(&self.member.name, known.shared.as_ref(), shared.as_ref());
        if lead == Lead::Another {
            self.access.allow_replacement(PERMISSION);
        }
        let work = self.work(known, now);
        if let Some(shared) = &shared {
            let facts = Facts {
                behind: known.track.behind(now),
                since_clone: known.cloned.map(|cloned| now.saturating_sub(cloned)),
                lead,
                patroni: shared.patroni,
                work,
            };
            self.act(known, &facts, shared.identity, now).await;
        }
        known.shared = shared;
    }

    async fn see(&self) -> Seen {
        if let Some(seen) = ask(self.sessions.clone()).await {
            return seen;
        }
        let segment = aside("titles", || recovered_segment(Path::new("/proc")));
        Seen::Silent { segment: tokio::time::timeout(TITLES_TIMEOUT, segment).await.ok().flatten().flatten() }
    }

    fn work(&self, known: &mut Known, now: Duration) -> Work {
        match self.access.previous() {
            Previous::Runs { program: Gated::PgBasebackup, .. } => {
                known.cloned = Some(now);
                Work::Repair
            }
            Previous::Runs { program: Gated::PgRewind, .. } => Work::Repair,
            Previous::Runs { .. } | Previous::Leftovers | Previous::Ended => Work::Server,
        }
    }

    async fn act(&self, known: &mut Known, facts: &Facts, identity: Option<u64>, now: Duration) {
        if is_due(facts) {
            if now >= known.next_attempt {
                self.attempt(known, facts, identity, now).await;
            }
        } else {
            known.problem = was_in_vain(facts).then(|| IN_VAIN.to_owned());
        }
        self.report.set_clone_problem(known.problem.clone());
    }

    async fn attempt(&self, known: &mut Known, facts: &Facts, identity: Option<u64>, now: Duration) {
        known.next_attempt = now + ATTEMPT_INTERVAL;
        let result = self.clone_again(identity).await;
        if result.is_ok() {
            let minutes = facts.behind.as_secs() / 60;
            tracing::warn!(
                "the standby has not followed its primary for {minutes} minutes: it is cloned again"
            );
            known.cloned = Some(now);
        }
        known.problem = result.err();
    }

    /// Has Patroni clone the server. The error says why not.
    async fn clone_again(&self, identity: Option<u64>) -> Result<(), String> {
        let (volume, major) = (self.volume.clone(), self.member.major);
        let measured = aside("room", move || measure(&volume, major, identity)).await;
        let room =
            measured.ok_or("its data could not be measured")?.map_err(|error| display_chain(&error))?;
        if let Some(obstacle) = obstacle(&room) {
            return Err(obstacle.to_string());
        }
        ha::reinitialize().await.map_err(|error| display_chain(&error))
    }

    async fn remove_old(&self) -> Old {
        let (volume, major) = (self.volume.clone(), self.member.major);
        let removed = aside("old data", move || remove_old(&volume, major)).await;
        match removed {
            Some(Ok(())) => Old::None,
            Some(Err(error)) => {
                tracing::warn!("{}; retrying later", display_chain(&error));
                Old::Possible
            }
            None => Old::Possible,
        }
    }
}

fn remove_old(volume: &Volume, major: u32) -> Result<(), FileError> {
    if replacement::has_old(volume, major)? {
        replacement::remove_old(volume, major)?;
        tracing::info!(major, "removed the data that a clone has replaced");
    }
    Ok(())
}

fn measure(volume: &Volume, major: u32, identity: Option<u64>) -> Result<Room, FileError> {
    let (data, new) = (volume.data_dir(major), new_data_dir(volume, major));
    let leftover = if volume.tree().exists(&new)? { volume.tree().size(&new)? } else { 0 };
    let tablespaces = volume.tablespaces(&data)?;
    Ok(Room {
        data: volume.tree().size(&data)?,
        leftover,
        space: volume.space()?,
        tablespace: tablespaces.into_iter().find(|tablespace| !tablespace.starts_with(&data)),
        identity: Identity::of(replacement::system_identifier(volume, &data), identity),
    })
}

/// Does something in a thread of its own: a volume that hangs must keep neither the other tasks from running nor the process from
/// ending, as a thread of the runtime would. Nothing if there is no thread.
async fn aside<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let run = move || {
        // Nothing waits for it any longer.
        let _ = done.send(work());
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).ok()?;
    result.await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn room_is_measured_with_what_is_outside_of_the_data_directory() {
        let (root, volume) = volume();
        let data = volume.data_dir(17);
        fs::create_dir_all(data.join("pg_tblspc/16400")).unwrap();
        fs::create_dir_all(data.join("global")).unwrap();
        fs::write(data.join("global/pg_control"), 7_u64.to_ne_bytes()).unwrap();
        let found = measure(&volume, 17, Some(7)).unwrap();
        assert_eq!((found.data, found.leftover, found.identity), (8, 0, Identity::Same));
        assert_eq!(found.tablespace, None, "it is in place");
        symlink(root.path().join("fast"), data.join("pg_tblspc/16401")).unwrap();
        fs::create_dir(new_data_dir(&volume, 17)).unwrap();
        fs::write(new_data_dir(&volume, 17).join("PG_VERSION"), "17\n").unwrap();
        let found = measure(&volume, 17, Some(8)).unwrap();
        assert_eq!((found.leftover, found.identity), (3, Identity::Other));
        assert_eq!(found.tablespace, Some(root.path().join("fast")));
    }

    #[tokio::test]
    async fn work_aside_has_a_result() {
        assert_eq!(aside("test", || 7).await, Some(7));
    }
}
