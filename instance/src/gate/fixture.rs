//! A gate with real processes, for tests.
//!
//! The links in its directory lead to the binary of the tests, which is not the gate's client. So a client is that binary with one
//! test selected, [`client_process`], which becomes the program as the client does.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgops_api::PgVersion;
use pgops_volume::{Interlock, Tree, Volume};
use rustix::process::Signal;
use tempfile::TempDir;

use super::access::Access;
use super::decision::{Holding, Previous, Situation};
use super::program::Gated;
use super::request::Request;
use super::{client, links};
use crate::programs::Programs;
use crate::reaper::{Exit, Process, Reaper};
use crate::volume::new_data_dir;

const RUN_DIR: &str = "PGOPS_TEST_RUN_DIR";
const WORDS: &str = "PGOPS_TEST_WORDS";

/// That of a pod of version 17 in which nothing runs and nothing is against a program.
pub fn situation(volume: &Volume) -> Situation<'_> {
    Situation {
        volume,
        own: 17,
        active: Some(17),
        holding: Holding::Held,
        frozen: None,
        previous: Previous::Ended,
    }
}

/// A gate, which holds the interlock of a volume with data of version 17.
pub struct Fixture {
    root: TempDir,
    pub volume: Volume,
    /// Held for as long as the value lives.
    _interlock: Interlock,
    reaper: Reaper,
    clients: AtomicU32,
    pub access: Access,
}

impl Fixture {
    /// Its `postgres` executes a script, and the other programs do nothing.
    pub fn new(script: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (run_dir, image) = (root.path().join("run"), root.path().join("image"));
        fs::create_dir(&run_dir).unwrap();
        fs::create_dir(&image).unwrap();
        let others = ["pg_rewind", "pg_basebackup", "pg_ctl"].map(|name| (name, "exit 0"));
        for (name, script) in others.into_iter().chain([("postgres", script)]) {
            fs::write(image.join(name), shell(script)).unwrap();
            fs::set_permissions(image.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let volume = Volume::at(root.path().join("volume"));
        fs::create_dir_all(volume.data_dir(17)).unwrap();
        let interlock = Interlock::try_take(&volume).unwrap().unwrap();
        volume.set_active(17).unwrap();
        let programs =
            Programs::in_directory(&image, PgVersion::from_banner("postgres (PostgreSQL) 17.2").unwrap());
        let reaper = Reaper::start().unwrap();
        let access = links::open(&Tree::at(&run_dir), &programs, &volume, &reaper).unwrap();
        access.hold(interlock.cloexec_fd().unwrap());
        Self { root, volume, _interlock: interlock, reaper, clients: AtomicU32::new(0), access }
    }

    /// Another one, whose volume has no data. Its `pg_basebackup` executes a script.
    pub fn without_data(script: &str) -> Self {
        let fixture = Self::new("exit 0");
        fs::remove_dir(fixture.volume.data_dir(17)).unwrap();
        fs::remove_file(fixture.volume.root().join(".pgops/active")).unwrap();
        fixture.replace("pg_basebackup", script);
        fixture
    }

    /// Has one of its programs execute a script.
    pub fn replace(&self, program: &str, script: &str) {
        fs::write(self.file("image").join(program), shell(script)).unwrap();
    }

    pub fn run_dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    /// A file that a script may write, as `$DIR/name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// A client, by the words of its command line. `DATA` is the data directory, and `NEW` that of a clone.
    pub fn client(&self, line: &str) -> Client {
        let words = line
            .replace("DATA", &self.volume.data_dir(17).display().to_string())
            .replace("NEW", &new_data_dir(&self.volume, 17).display().to_string());
        let output = self.file(&format!("output-{}", self.clients.fetch_add(1, Ordering::Relaxed)));
        let file = fs::File::create(&output).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "gate::fixture::client_process", "--ignored", "--nocapture"])
            .env(RUN_DIR, self.run_dir())
            .env(WORDS, words)
            .env("DIR", self.root.path())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        // A process that anything else has started would be reaped as well, and could not be waited for.
        Client { process: self.reaper.spawn(&mut command).unwrap(), output }
    }
}

fn shell(script: &str) -> String {
    format!("#!/bin/sh\n{script}\n")
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.access.kill();
    }
}

/// A client, which becomes its program. It ends with this value.
pub struct Client {
    process: Process,
    output: PathBuf,
}

impl Client {
    pub fn pid(&self) -> i32 {
        self.process.pid().as_raw_pid()
    }

    /// How it has ended, and its output.
    pub async fn wait(mut self) -> (Exit, String) {
        let exit = self.process.wait().await;
        (exit, fs::read_to_string(&self.output).unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.process.signal(Signal::KILL);
    }
}

/// Waits until something is so, for up to ten seconds.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
#[ignore = "the process of a client, which other tests start"]
fn client_process() {
    let Some(run_dir) = std::env::var_os(RUN_DIR) else { return };
    let words = std::env::var(WORDS).unwrap();
    let mut words = words.split(' ').map(Into::into);
    let name: std::ffi::OsString = words.next().unwrap();
    let request = Request { program: Gated::of_name(&name).unwrap(), arguments: words.collect() };
    let code = client::become_program(run_dir.as_ref(), &request);
    std::process::exit(code.into());
}
