//! The machine in every sequence of looks, and the watchdog with a real FIFO and real processes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

use pgops_volume::Tree;

use super::clock::BootTime;
use super::commands::Command;
use super::driver::{FIFO, Watchdog};
use super::machine::{Action, Event, GRACE, LIMIT, Look, Machine, Server};
use crate::gate::fixture::{Fixture, until};

/// Between two looks.
const STEP: Duration = Duration::from_millis(500);
/// The limit that Patroni sets in these sequences.
const ASKED: Duration = Duration::from_secs(1);

const EVENTS: [Option<Event>; 5] = [
    None,
    Some(Event::Command(Command::KeepAlive)),
    Some(Event::Command(Command::Disarm)),
    Some(Event::Command(Command::Arm(ASKED))),
    Some(Event::PatroniStarted),
];

/// A look of a sequence, and what it led to.
#[derive(Clone, Copy, Debug)]
struct Seen {
    event: Option<Event>,
    server: Server,
    action: Option<Action>,
}

fn at(look: usize) -> BootTime {
    BootTime::after_boot(STEP * u32::try_from(look).unwrap())
}

fn is_command(seen: &Seen) -> bool {
    matches!(seen.event, Some(Event::Command(_)))
}

/// Checks the last look of a sequence by what must be so, whatever the machine remembers.
fn check(history: &[Seen]) {
    let now = history.len();
    let last = history.last().unwrap();
    let before = &history[..now - 1];
    let fired = before.iter().rposition(|seen| seen.action == Some(Action::Fire));
    let released = before.iter().rposition(|seen| seen.action == Some(Action::Release));
    if let Some(fired) = fired.filter(|fired| released.is_none_or(|released| released < *fired)) {
        let was_seen = history[fired + 1..].iter().any(|seen| seen.event.is_some());
        let expected = match last.server {
            Server::Runs if at(now) - at(fired + 1) >= GRACE => Some(Action::Kill),
            Server::Ended if was_seen => Some(Action::Release),
            _ => None,
        };
        assert_eq!(last.action, expected, "after it has fired: {history:?}");
        return;
    }
    // A restart of Patroni counts only for a watchdog that has fired.
    let since =
        before.iter().rposition(|seen| seen.action == Some(Action::Fire)).map_or(0, |fired| fired + 1);
    let restart = history[since..]
        .iter()
        .take(released.map_or(0, |released| released + 1 - since))
        .rposition(|seen| seen.event == Some(Event::PatroniStarted))
        .map(|at| since + at);
    let command = history.iter().rposition(is_command);
    let armed = command.filter(|command| {
        history[*command].event != Some(Event::Command(Command::Disarm))
            && restart.is_none_or(|restart| restart < *command)
    });
    // The keepalive of a look is as old as the look before.
    let limit = if was_asked(history, restart) { ASKED } else { LIMIT };
    let is_late = armed.is_some_and(|armed| at(now) - at(armed) >= limit);
    assert_eq!(last.action, is_late.then_some(Action::Fire), "{history:?}");
}

/// Whether the limit is the one that Patroni has asked for: it holds until the watchdog is disarmed.
fn was_asked(history: &[Seen], restart: Option<usize>) -> bool {
    let begin = history
        .iter()
        .rposition(|seen| seen.event == Some(Event::Command(Command::Disarm)))
        .into_iter()
        .chain(restart)
        .max()
        .map_or(0, |end| end + 1);
    history[begin..].iter().any(|seen| seen.event == Some(Event::Command(Command::Arm(ASKED))))
}

fn explore(machine: Machine, history: &mut Vec<Seen>, depth: usize, looks: &mut usize) {
    if depth == 0 {
        return;
    }
    for event in EVENTS {
        for server in [Server::Runs, Server::Ended] {
            let now = history.len();
            let look = Look { since: at(now), now: at(now + 1), events: event.as_slice(), server };
            let (next, action) = machine.look(&look);
            history.push(Seen { event, server, action });
            check(history);
            *looks += 1;
            explore(next, history, depth - 1, looks);
            history.pop();
        }
    }
}

#[test]
fn every_sequence_of_looks_fires_kills_and_releases_exactly_when_it_must() {
    let mut looks = 0;
    explore(Machine::new(), &mut Vec::new(), 6, &mut looks);
    assert_eq!(looks, (1..=6).map(|depth| 10_usize.pow(depth)).sum::<usize>());
}

/// One after the other: what each look has led to.
fn run(looks: &[(u64, Option<Event>)]) -> Vec<Option<Action>> {
    let mut machine = Machine::new();
    let mut since = at(0);
    let mut actions = Vec::new();
    for (seconds, event) in looks {
        let now = BootTime::after_boot(Duration::from_secs(*seconds));
        let look = Look { since, now, events: event.as_slice(), server: Server::Runs };
        let (next, action) = machine.look(&look);
        machine = next;
        since = now;
        actions.push(action);
    }
    actions
}

#[test]
fn watchdog_never_waits_longer_than_its_own_limit() {
    let arm = Some(Event::Command(Command::Arm(Duration::from_mins(1))));
    let fed = Some(Event::Command(Command::KeepAlive));
    assert_eq!(run(&[(1, arm), (9, None), (10, None)]), [None, None, Some(Action::Fire)]);
    assert_eq!(run(&[(1, arm), (2, fed), (10, None), (11, None)])[2..], [None, Some(Action::Fire)]);
    // A keepalive of a Patroni that had not opened it arms it too.
    assert_eq!(run(&[(1, fed), (10, None)]), [None, Some(Action::Fire)]);
}

#[test]
fn keepalive_from_before_a_freeze_does_not_count_after_it() {
    let arm = Some(Event::Command(Command::Arm(LIMIT)));
    let fed = Some(Event::Command(Command::KeepAlive));
    // The machine was suspended for 19 seconds. The keepalive was in the FIFO by then, or came since: nothing tells.
    assert_eq!(run(&[(1, arm), (2, fed), (21, fed)]), [None, None, Some(Action::Fire)]);
}

#[test]
fn clock_counts_from_the_boot_of_the_machine() {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let now = BootTime::now() - at(0);
    assert!((now.as_secs_f64() - seconds).abs() < 10.0, "{now:?} {seconds}");
}

/// A server that does not end by SIGQUIT, and has a child.
const STUBBORN: &str =
    "trap '' QUIT; sleep 600 & echo $! > $DIR/child; touch $DIR/up; while :; do sleep 0.05; done";

struct Watched {
    fixture: Fixture,
    patroni: fs::File,
    starts: super::driver::PatroniStarts,
}

fn watched(script: &str) -> Watched {
    let fixture = Fixture::new(script);
    let (watchdog, starts) = Watchdog::new(&Tree::at(fixture.run_dir()), fixture.access.clone()).unwrap();
    tokio::spawn(watchdog.watch());
    // As Patroni opens it.
    let patroni = OpenOptions::new().write(true).open(fixture.run_dir().join(FIFO)).unwrap();
    Watched { fixture, patroni, starts }
}

fn up(fixture: &Fixture) -> impl Fn() -> bool {
    let path = fixture.file("up");
    move || path.exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn starved_watchdog_quits_the_server_and_kills_what_is_left_of_it() {
    let Watched { fixture, mut patroni, .. } = watched(STUBBORN);
    let client = fixture.client("postgres -D DATA");
    until("the server runs", up(&fixture));
    patroni.write_all(b"Ctimeout=2\n").unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        patroni.write_all(b"1").unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(!fixture.access.is_idle(), "it was fed");
    let begin = Instant::now();
    until("everything has ended", || fixture.access.is_idle());
    let took = begin.elapsed();
    assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(8), "{took:?}");
    drop(client);
    let child = fs::read_to_string(fixture.file("child")).unwrap();
    until("its child has ended", || has_ended(child.trim()));

    let (exit, text) = fixture.client("pg_rewind -D DATA").wait().await;
    assert!(!exit.success() && text.contains("the watchdog has ended the server"), "{text}");
    patroni.write_all(b"V").unwrap();
    until_started(&fixture).await;
}

/// Waits until the gate has a program executed.
async fn until_started(fixture: &Fixture) {
    let begin = Instant::now();
    while !fixture.client("pg_rewind -D DATA").wait().await.0.success() {
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing is started");
    }
}

/// Whether a process has ended: one that nothing has waited for counts too.
fn has_ended(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ")
}

#[tokio::test(flavor = "multi_thread")]
async fn disarmed_watchdog_leaves_the_server_alone() {
    let Watched { fixture, mut patroni, .. } = watched(STUBBORN);
    let _client = fixture.client("postgres -D DATA");
    until("the server runs", up(&fixture));
    patroni.write_all(b"Ctimeout=1\n1V").unwrap();
    drop(patroni);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!fixture.access.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_patroni_starves_the_watchdog_until_it_is_started_again() {
    let Watched { fixture, mut patroni, starts } = watched("touch $DIR/up; exec sleep 600");
    let client = fixture.client("postgres -D DATA");
    until("the server runs", up(&fixture));
    patroni.write_all(b"Ctimeout=1\n1").unwrap();
    drop(patroni);
    // The shell's sleep ends by SIGQUIT.
    until("the server has ended", || fixture.access.is_idle());
    drop(client);
    starts.record();
    until_started(&fixture).await;
}
