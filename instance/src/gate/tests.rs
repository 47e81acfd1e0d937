//! The gate with real processes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::client;
use super::decision::{Freeze, Previous};
use super::fixture::{Fixture, until};
use super::message::CloneStep;
use super::program::Gated;
use super::promotion::Leadership;
use super::request::{MAX_REQUEST, REFUSED};
use crate::reaper::Exit;

/// A server that writes its arguments and descriptors, and runs on.
const SERVER: &str =
    "echo \"$0 $*\" > $DIR/arguments; ls -l /proc/$$/fd > $DIR/fds; touch $DIR/up; exec sleep 600";

fn is_up(fixture: &Fixture) -> impl Fn() -> bool {
    let path = fixture.file("up");
    move || path.exists()
}

/// The output of a client that was refused.
async fn refused(fixture: &Fixture, line: &str) -> String {
    let (exit, text) = fixture.client(line).wait().await;
    assert_eq!(exit, Exit::Status(77), "{line}: {text}");
    text
}

async fn succeeds(fixture: &Fixture, line: &str) -> bool {
    fixture.client(line).wait().await.0.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn client_becomes_the_program_of_the_image_and_holds_the_interlock() {
    let fixture = Fixture::new(SERVER);
    let client = fixture.client("postgres -D DATA -c work_mem=1MB");
    until("the server runs", is_up(&fixture));
    let data = fixture.volume.data_dir(17);
    let arguments = fs::read_to_string(fixture.file("arguments")).unwrap();
    let program = fixture.file("image/postgres");
    let expected =
        format!("{} -c data_directory={} -D {1} -c work_mem=1MB\n", program.display(), data.display());
    assert_eq!(arguments, expected);
    let descriptors = fs::read_to_string(fixture.file("fds")).unwrap();
    let interlock = fixture.volume.interlock().display().to_string();
    assert_eq!(descriptors.matches(&interlock).count(), 1, "{descriptors}");
    assert!(!descriptors.contains("socket:"), "{descriptors}");
    let pid = client.pid();
    assert_eq!(fixture.access.previous(), Previous::Runs { program: Gated::Postgres, pid });
    assert!(
        refused(&fixture, "pg_rewind -D DATA")
            .await
            .contains(&format!("postgres still runs on the data, as process {pid}"))
    );
    drop(client);
    until("it has ended", || fixture.access.previous() == Previous::Ended);
    assert!(succeeds(&fixture, "pg_rewind -D DATA").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_clients_at_a_time_one_gets_the_interlock() {
    let fixture = Fixture::new("while [ ! -e $DIR/stop ]; do sleep 0.02; done");
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(fixture.client("postgres -D DATA").wait());
    }
    for _ in 0..7 {
        let (exit, text) = clients.join_next().await.unwrap().unwrap();
        assert_eq!(exit, Exit::Status(77), "{text}");
    }
    fs::write(fixture.file("stop"), "").unwrap();
    let (exit, text) = clients.join_next().await.unwrap().unwrap();
    assert!(exit.success(), "{exit} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_executed_without_the_interlock_or_while_frozen() {
    let fixture = Fixture::new("exit 0");
    fixture.access.freeze(Freeze::Terminating);
    assert!(refused(&fixture, "postgres -D DATA").await.contains("this pod is being terminated"));
    fixture.access.thaw(Freeze::Terminating);
    assert!(succeeds(&fixture, "postgres --single -D DATA template1").await);
    fixture.volume.set_active(18).unwrap();
    assert!(refused(&fixture, "postgres -D DATA").await.contains("major version 18 is active"));
    fs::write(fixture.volume.root().join(".pgops/active"), "latest\n").unwrap();
    assert!(refused(&fixture, "pg_rewind -D DATA").await.contains("failed to read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn program_that_only_prints_needs_no_gate() {
    let fixture = Fixture::new("echo \"$*\"");
    fs::remove_file(fixture.run_dir().join("gate.sock")).unwrap();
    for line in ["postgres --version", "postgres -D DATA -C hba_file", "postgres --describe-config"] {
        let (exit, text) = fixture.client(line).wait().await;
        assert!(exit.success() && text.contains(line.split(' ').next_back().unwrap()), "{text}");
        assert!(!text.contains("data_directory="), "{text}");
    }
    let text = refused(&fixture, "postgres -D DATA").await;
    assert!(text.contains("failed to ask PID 1 at") && text.contains("gate.sock"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_server_are_killed_before_the_next_one_starts() {
    let fixture = Fixture::new(
        "if [ -e $DIR/child ]; then grep ^State: /proc/$(cat $DIR/child)/status > $DIR/state; exit 0; fi
         sleep 600 > /dev/null 2>&1 & echo $! > $DIR/child; exit 1",
    );
    fs::write(fixture.volume.data_dir(17).join("postmaster.pid"), "1\n").unwrap();
    assert_eq!(fixture.client("postgres -D DATA").wait().await.0, Exit::Status(1));
    until("it has left a process", || fixture.access.previous() == Previous::Leftovers);
    let (exit, text) = fixture.client("postgres -D DATA").wait().await;
    assert!(exit.success(), "{exit} {text}");
    // A process that has ended may not have been waited for.
    let state = fs::read_to_string(fixture.file("state")).unwrap();
    assert!(state.is_empty() || state.contains('Z'), "{state}");
    assert!(!fixture.volume.data_dir(17).join("postmaster.pid").exists(), "it is stale");
}

/// A clone that takes until a file exists.
const CLONE: &str =
    "new=$DIR/volume/17/data.new; mkdir -p $new/global; echo 17 > $new/PG_VERSION; touch $DIR/up
    while [ ! -e $DIR/stop ]; do sleep 0.02; done; touch $new/global/pg_control";

async fn step(fixture: &Fixture, step: CloneStep) -> Result<(), String> {
    let run_dir = fixture.run_dir();
    let performed = tokio::task::spawn_blocking(move || client::perform(&run_dir, step));
    performed.await.unwrap().map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn clone_becomes_data_once_it_is_complete_and_only_then_a_server_starts() {
    let fixture = Fixture::without_data(CLONE);
    let leftover = fixture.volume.root().join("17/data.new/base");
    fs::create_dir_all(&leftover).unwrap();
    step(&fixture, CloneStep::Prepare).await.unwrap();
    assert!(!leftover.exists());
    assert!(step(&fixture, CloneStep::Publish).await.unwrap_err().contains("is not complete"));

    let cloning = fixture.client("pg_basebackup --pgdata=NEW -X stream");
    until("it runs", is_up(&fixture));
    for which in [CloneStep::Prepare, CloneStep::Publish] {
        let refusal = step(&fixture, which).await.unwrap_err();
        assert!(refusal.contains("pg_basebackup still runs on the data, as process"), "{refusal}");
    }
    fs::write(fixture.file("stop"), "").unwrap();
    let (exit, text) = cloning.wait().await;
    assert!(exit.success(), "{exit} {text}");
    assert!(refused(&fixture, "postgres -D DATA").await.contains("names no version"));
    until("all of it has ended", || fixture.access.previous() == Previous::Ended);

    step(&fixture, CloneStep::Publish).await.unwrap();
    assert!(fixture.volume.data_dir(17).join("global/pg_control").exists());
    assert!(succeeds(&fixture, "postgres -D DATA").await);
    for which in [CloneStep::Prepare, CloneStep::Publish] {
        let refusal = step(&fixture, which).await.unwrap_err();
        assert!(refusal.contains("is replaced by a clone only while another server leads"), "{refusal}");
    }

    fixture.access.allow_replacement(Duration::ZERO);
    let refusal = step(&fixture, CloneStep::Prepare).await.unwrap_err();
    assert!(refusal.contains("only while another server leads"), "{refusal}");
    fixture.access.allow_replacement(Duration::from_mins(1));
    step(&fixture, CloneStep::Prepare).await.unwrap();
    let refusal = step(&fixture, CloneStep::Publish).await.unwrap_err();
    assert!(refusal.contains("is not complete"), "{refusal}");
    assert!(succeeds(&fixture, "pg_basebackup --pgdata=NEW -X stream").await);
    until("all of it has ended", || fixture.access.previous() == Previous::Ended);
    step(&fixture, CloneStep::Publish).await.unwrap();
    let old = fixture.volume.data_dir(17).with_file_name("data.old.1");
    assert!(old.join("global/pg_control").exists() && fixture.volume.data_dir(17).exists());
}

/// Answers the questions of a gate with what was set last.
fn watchdog(fixture: &Fixture) -> Arc<Mutex<Leadership>> {
    let known = Arc::new(Mutex::new(Leadership::Disarmed));
    let (mut questions, answer) = (fixture.access.questions(), known.clone());
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            question.answer(*answer.lock().unwrap());
        }
    });
    known
}

const PROMOTE: &str = "pg_ctl promote -D DATA -W";

#[tokio::test(flavor = "multi_thread")]
async fn promotion_needs_the_lock_and_gets_no_interlock() {
    let fixture = Fixture::new(SERVER);
    fixture.replace("pg_ctl", "[ \"$1\" = promote ] || exit 0; ls -l /proc/$$/fd > $DIR/promoted");
    let known = watchdog(&fixture);
    let _server = fixture.client("postgres -D DATA");
    until("the server runs", is_up(&fixture));

    let text = refused(&fixture, PROMOTE).await;
    assert!(text.contains("the server is not promoted: the watchdog is not armed"), "{text}");
    assert!(succeeds(&fixture, "pg_ctl reload -D DATA").await, "it does not promote");
    assert!(!fixture.file("promoted").exists());
    *known.lock().unwrap() = Leadership::Confirmed;
    assert!(succeeds(&fixture, PROMOTE).await);
    let descriptors = fs::read_to_string(fixture.file("promoted")).unwrap();
    assert!(!descriptors.contains(&fixture.volume.interlock().display().to_string()), "{descriptors}");
    fixture.access.freeze(Freeze::Terminating);
    assert!(refused(&fixture, PROMOTE).await.contains("this pod is being terminated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn promotion_that_hangs_does_not_reach_a_later_server() {
    let fixture = Fixture::new("exit 0");
    fixture.replace("pg_ctl", "touch $DIR/up; exec sleep 600");
    let promoting = || {
        let client = fixture.client(PROMOTE);
        until("it runs", is_up(&fixture));
        fs::remove_file(fixture.file("up")).unwrap();
        client
    };
    let first = promoting();
    assert!(succeeds(&fixture, "postgres -D DATA").await);
    assert_eq!(first.wait().await.0, Exit::Signal(9));

    let second = promoting();
    let text = refused(&fixture, PROMOTE).await;
    assert!(text.contains(&format!("pg_ctl still runs on the data, as process {}", second.pid())), "{text}");
    assert_eq!(second.wait().await.0, Exit::Signal(9));
    until("it has ended", || fixture.access.previous() == Previous::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_ends_without_executing_leaves_nothing_behind() {
    let fixture = Fixture::new("exit 0");
    fs::remove_file(fixture.file("image/postgres")).unwrap();
    assert!(refused(&fixture, "postgres -D DATA").await.contains("failed to execute"));
    until("it has ended", || fixture.access.previous() == Previous::Ended);
    assert!(succeeds(&fixture, "pg_rewind -D DATA").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_neither_hold_up_nor_end_the_gate() {
    let fixture = Fixture::new("exit 0");
    let path = fixture.run_dir().join("gate.sock");
    let connect = || UnixStream::connect(&path).unwrap();
    let answer = |bytes: &[u8]| {
        let mut stream = connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // The gate may close before it has read everything.
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let too_long = answer(&u32::MAX.to_be_bytes());
    assert!(
        too_long.starts_with(&[REFUSED]) && too_long.ends_with(b"longer than 65536 bytes"),
        "{too_long:?}"
    );
    let shell = answer(&[&7_u32.to_be_bytes()[..], b"sh\0-c\0x"].concat());
    assert!(shell.starts_with(&[REFUSED]), "{shell:?}");
    let longest = u32::try_from(MAX_REQUEST).unwrap().to_be_bytes();
    let _ = answer(&[&longest[..], &vec![0xff; MAX_REQUEST]].concat());
    // More than are served at a time, and none of them says anything, or all of it.
    let idle: Vec<_> = (0..40).map(|_| connect()).collect();
    let mut slow = connect();
    slow.write_all(&longest).unwrap();
    let begin = Instant::now();
    let client = fixture.client("postgres -D DATA");
    while slow.write_all(b"x").is_ok() {
        thread::sleep(Duration::from_millis(100));
    }
    assert!(client.wait().await.0.success());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    drop(idle);
}
