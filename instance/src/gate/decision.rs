//! Whether a program gets the interlock.

use std::fmt;
use std::io;
use std::path::PathBuf;

use pgops_api::display_chain;
use pgops_api::layout::{ACTIVE_FILE, INTERLOCK_FILE};
use pgops_volume::{FileError, Volume};

use super::program::{Gated, data_directories};
use super::request::{Request, RequestError};
use crate::volume::new_data_dir;

/// Why nothing is started, although this pod holds the interlock.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Freeze {
    /// PID 1 was asked to end, and stops the server.
    Terminating,
    /// The watchdog has ended the server.
    WatchdogFired,
}

/// Whether PID 1 holds the interlock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holding {
    Held,
    NotHeld,
}

/// What became of the program that was started last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Previous {
    /// It has ended, with everything that it had started.
    Ended,
    /// It runs.
    Runs { program: Gated, pid: i32 },
    /// It has ended, and left processes.
    Leftovers,
}

/// What a decision depends on.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    pub volume: &'a Volume,
    /// Major version of this pod.
    pub own: u32,
    /// The active version of the volume.
    pub active: Option<u32>,
    pub holding: Holding,
    pub frozen: Option<Freeze>,
    pub previous: Previous,
}

/// What is done before a program is executed that may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    Nothing,
    /// The data directory is made ready for a server.
    PrepareData,
}

/// Why a program is not executed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    NotARequest(#[from] RequestError),
    #[error("the request comes from another user or container")]
    ForeignPeer,
    #[error("pgops initialises a database itself, once: a server that lacks its data is cloned or restored")]
    Initdb,
    #[error("its mode {0} is for initdb alone")]
    Mode(String),
    #[error("its arguments name no data directory: add -D {}", .0.display())]
    NoDirectory(PathBuf),
    #[error("its arguments name {}, but in this pod it works on {} alone", .named.display(), .own.display())]
    OtherDirectory { named: PathBuf, own: PathBuf },
    #[error(
        "this pod does not hold {INTERLOCK_FILE}: wait until the other server, or the worker of an upgrade, has ended"
    )]
    NotHeld,
    #[error("{0}")]
    Frozen(Freeze),
    #[error("{ACTIVE_FILE} names no version: the volume has no data yet")]
    NoActive,
    #[error("major version {active} is active on the volume, and this pod has {own}")]
    WrongVersion { own: u32, active: u32 },
    #[error("{program} still runs on the data, as process {pid}")]
    Busy { program: Gated, pid: i32 },
    #[error("process {0} is a server that was started by other means: stop it, for example with pg_ctl stop")]
    OtherServer(i32),
    #[error("processes that the previous program has left cannot be killed: {0}")]
    Leftovers(String),
    #[error("{}", display_chain(.0))]
    File(#[from] FileError),
    #[error("failed to hand over the interlock: {0}")]
    Handover(#[from] io::Error),
    #[error("{} exists, and is replaced by a clone only while another server leads", .0.display())]
    DataExists(PathBuf),
    #[error("{} is the data of another database than the clone: its system identifier differs", .0.display())]
    OtherDatabase(PathBuf),
    #[error("{} is not complete: it lacks the file that pg_basebackup writes last", .0.display())]
    Incomplete(PathBuf),
    #[error("the watchdog is not armed: Patroni does not lead, or is paused and has to be resumed")]
    NotLeading,
    #[error(
        "Patroni has confirmed its lock too long ago, so another server may have it: it promotes once it has it again"
    )]
    OutdatedLock,
    #[error("the watchdog has not answered within {0} s whether Patroni has the lock")]
    NoAnswer(u64),
    #[error("the volume does not respond: no decision within {0} s")]
    Timeout(u64),
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminating => "this pod is being terminated",
            Self::WatchdogFired => {
                "the watchdog has ended the server, and Patroni has not been seen since: wait until it reaches the API server"
            }
        })
    }
}

/// Decides on a request.
pub fn decide(request: &Request, situation: &Situation<'_>) -> Result<First, Refusal> {
    refuse_modes(request)?;
    refuse_other_directories(request, situation)?;
    refuse_for_all(situation)?;
    match (situation.active, request.program) {
        (Some(active), _) if active != situation.own => {
            return Err(Refusal::WrongVersion { own: situation.own, active });
        }
        // A clone is how a volume gets its first data, which becomes active only then.
        (None, Gated::PgBasebackup) | (Some(_), _) => {}
        (None, _) => return Err(Refusal::NoActive),
    }
    match situation.previous {
        Previous::Runs { program, pid } => Err(Refusal::Busy { program, pid }),
        Previous::Ended | Previous::Leftovers => Ok(match request.program {
            Gated::Postgres | Gated::PgRewind => First::PrepareData,
            Gated::PgBasebackup | Gated::Initdb | Gated::PgCtl => First::Nothing,
        }),
    }
}

/// What is against any change of data.
pub fn refuse_for_all(situation: &Situation<'_>) -> Result<(), Refusal> {
    match (situation.holding, situation.frozen) {
        (Holding::NotHeld, _) => Err(Refusal::NotHeld),
        (Holding::Held, Some(freeze)) => Err(Refusal::Frozen(freeze)),
        (Holding::Held, None) => Ok(()),
    }
}

/// The server's own modes in which it works on a directory that initdb creates, or as a part of another server.
fn refuse_modes(request: &Request) -> Result<(), Refusal> {
    if request.program == Gated::Initdb {
        return Err(Refusal::Initdb);
    }
    let first = request.arguments.first().map(|argument| argument.to_string_lossy());
    match first {
        Some(mode)
            if request.program == Gated::Postgres
                && ["--boot", "--check", "--fork"].iter().any(|known| mode.starts_with(known)) =>
        {
            Err(Refusal::Mode(mode.into_owned()))
        }
        _ => Ok(()),
    }
}

/// The arguments name one directory: the data directory or, for a clone, that of new data. A clone becomes data by a rename, once
/// it is complete.
pub fn refuse_other_directories(request: &Request, situation: &Situation<'_>) -> Result<(), Refusal> {
    let own = match request.program {
        Gated::PgBasebackup => new_data_dir(situation.volume, situation.own),
        Gated::Postgres | Gated::PgRewind | Gated::Initdb | Gated::PgCtl => {
            situation.volume.data_dir(situation.own)
        }
    };
    let named = data_directories(request.program, &request.arguments);
    if named.is_empty() {
        return Err(Refusal::NoDirectory(own));
    }
    match named.into_iter().find(|named| *named != own) {
        Some(named) => Err(Refusal::OtherDirectory { named, own }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::volume;
    use crate::gate::fixture::situation;
    use rstest::rstest;
    use std::ffi::OsString;

    /// A line in which `DATA` and `NEW` are directories of this pod's version.
    fn request(volume: &Volume, line: &str) -> Request {
        let data = volume.data_dir(17).display().to_string();
        let new = new_data_dir(volume, 17).display().to_string();
        let mut words =
            line.split(' ').map(|word| OsString::from(word.replace("DATA", &data).replace("NEW", &new)));
        let program = Gated::of_name(&words.next().unwrap()).unwrap();
        Request { program, arguments: words.collect() }
    }

    fn decided(volume: &Volume, line: &str, situation: &Situation<'_>) -> String {
        match decide(&request(volume, line), situation) {
            Ok(first) => format!("{first:?}"),
            Err(refusal) => refusal.to_string(),
        }
    }

    #[rstest]
    #[case("postgres -D DATA", "PrepareData")]
    #[case(
        "postgres -D DATA --config-file=/pgops/run/pg/postgresql.conf -c data_directory=DATA",
        "PrepareData"
    )]
    #[case("postgres --single -D DATA -c archive_mode=on template1", "PrepareData")]
    #[case("pg_rewind -D DATA --source-server dbname=postgres", "PrepareData")]
    #[case("pg_basebackup --pgdata=DATA -X stream", "name DATA, but in this pod it works on NEW alone")]
    #[case("pg_basebackup --pgdata=NEW -X stream", "Nothing")]
    #[case("postgres -D NEW", "name NEW, but in this pod it works on DATA alone")]
    #[case("postgres", "name no data directory: add -D DATA")]
    #[case("postgres -D /var/pv/13/data", "name /var/pv/13/data, but")]
    #[case("postgres -D DATA/", "Prepare")]
    #[case("postgres -D DATA/../../13/data", "DATA/../../13/data, but in this pod")]
    #[case("postgres -D DATA -c data_directory=/var/pv/13/data", "name /var/pv/13/data, but")]
    #[case("pg_basebackup --pgdata=NEW -D DATA", "name DATA, but")]
    #[case("pg_basebackup -X stream", "name no data directory: add -D NEW")]
    #[case("postgres --boot -D DATA", "--boot is for initdb alone")]
    #[case("postgres --forkbackend", "--forkbackend is for initdb alone")]
    #[case("initdb -D DATA", "pgops initialises a database itself")]
    fn program_works_on_the_data_directory_of_this_pod_alone(#[case] line: &str, #[case] expected: &str) {
        let (_root, volume) = volume();
        let decided = decided(&volume, line, &situation(&volume));
        let (data, new) = (volume.data_dir(17), new_data_dir(&volume, 17));
        let short =
            decided.replace(&new.display().to_string(), "NEW").replace(&data.display().to_string(), "DATA");
        assert!(short.contains(expected), "{line}: {short}");
    }

    const LINES: [&str; 4] = [
        "postgres -D DATA",
        "postgres --single -D DATA template1",
        "pg_rewind -D DATA --source-server x",
        "pg_basebackup --pgdata=NEW",
    ];

    /// Every combination: a program is executed only if nothing at all is against it.
    #[test]
    fn program_is_executed_only_if_every_condition_is_met() {
        let (_root, volume) = volume();
        let mut executed = 0;
        let holdings = [Holding::Held, Holding::NotHeld];
        let freezes = [None, Some(Freeze::Terminating), Some(Freeze::WatchdogFired)];
        let runs = Previous::Runs { program: Gated::PgRewind, pid: 4711 };
        for line in LINES {
            for active in [None, Some(13), Some(17)] {
                for holding in holdings {
                    for frozen in freezes {
                        for previous in [Previous::Ended, Previous::Leftovers, runs] {
                            let situation =
                                Situation { active, holding, frozen, previous, ..situation(&volume) };
                            let is_clone = line.starts_with("pg_basebackup");
                            let may = (active == Some(17) || active.is_none() && is_clone)
                                && holding == Holding::Held
                                && frozen.is_none()
                                && previous != runs;
                            let is_executed = decide(&request(&volume, line), &situation).is_ok();
                            assert_eq!(is_executed, may, "{line} {situation:?}");
                            executed += usize::from(is_executed);
                        }
                    }
                }
            }
        }
        // Two previous programs, and for a clone two active versions.
        assert_eq!(executed, 2 * (LINES.len() + 1));
    }

    #[test]
    fn first_clone_needs_no_active_version_but_the_interlock() {
        let (_root, volume) = volume();
        let empty = Situation { active: None, ..situation(&volume) };
        assert_eq!(decided(&volume, "pg_basebackup --pgdata=NEW", &empty), "Nothing");
        let refused = decided(&volume, "pg_basebackup --pgdata=DATA", &empty);
        assert!(refused.contains("works on"), "{refused}");
        assert!(decided(&volume, "postgres -D DATA", &empty).contains("names no version"));
        let without = Situation { holding: Holding::NotHeld, ..empty };
        assert!(decided(&volume, "pg_basebackup --pgdata=NEW", &without).contains("does not hold"));
    }

    #[test]
    fn refusal_says_what_is_against_it() {
        let (_root, volume) = volume();
        let base = situation(&volume);
        let other = Situation { active: Some(13), ..base.clone() };
        let busy =
            Situation { previous: Previous::Runs { program: Gated::PgRewind, pid: 42 }, ..base.clone() };
        let fired = Situation { frozen: Some(Freeze::WatchdogFired), ..base };
        for (situation, expected) in [
            (other, "major version 13 is active on the volume, and this pod has 17"),
            (busy, "pg_rewind still runs on the data, as process 42"),
            (fired, "the watchdog has ended the server"),
        ] {
            let refusal = decided(&volume, LINES[0], &situation);
            assert!(refusal.contains(expected), "{refusal}");
        }
    }
}
