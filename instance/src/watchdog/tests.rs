//! The machine in every sequence of looks, and the watchdog with a real FIFO and real processes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::{Duration, Instant};

use pgops_volume::Tree;

use super::clock::BootTime;
use super::commands::Command;
use super::driver::{FIFO, Watchdog};
use super::machine::{Action, Event, GRACE, LIMIT, Look, Machine, Server};
use crate::gate::Leadership;
use crate::gate::fixture::{Fixture, until};

/// Between two looks.
const STEP: Duration = Duration::from_millis(500);
/// The limit that Patroni sets in these sequences: two looks.
const ASKED: Duration = Duration::from_secs(1);

/// Something that Patroni says in a sequence. A date may be that of the look before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    KeepAlive { age: usize },
    Arm { age: usize },
    Disarm,
    Started,
}

const SAID: [Option<Said>; 6] = [
    None,
    Some(Said::KeepAlive { age: 0 }),
    Some(Said::KeepAlive { age: 1 }),
    Some(Said::Arm { age: 0 }),
    Some(Said::Disarm),
    Some(Said::Started),
];

/// A look of a sequence, and what it led to.
#[derive(Clone, Copy, Debug)]
struct Seen {
    said: Option<Said>,
    server: Server,
    action: Option<Action>,
}

fn at(look: usize) -> BootTime {
    BootTime::after_boot(STEP * u32::try_from(look).unwrap())
}

impl Said {
    /// The look whose time is the date.
    fn date(self, look: usize) -> Option<usize> {
        match self {
            Self::KeepAlive { age } | Self::Arm { age } => Some(look - age),
            Self::Disarm | Self::Started => None,
        }
    }

    fn event(self, look: usize) -> Event {
        match (self, self.date(look)) {
            (Self::Arm { .. }, Some(sent)) => Event::Command(Command::Arm { asked: ASKED, sent: at(sent) }),
            (_, Some(sent)) => Event::Command(Command::KeepAlive(at(sent))),
            (Self::Disarm, _) => Event::Command(Command::Disarm),
            (_, None) => Event::PatroniStarted,
        }
    }
}

/// Checks the last look of a sequence by what must be so, whatever the machine remembers. Looks count from 1.
fn check(history: &[Seen]) {
    let now = history.len();
    let last = history.last().unwrap();
    let looks = || (1..).zip(history);
    let last_action = |action| looks().take(now - 1).filter(|(_, seen)| seen.action == Some(action)).last();
    let fired = last_action(Action::Fire).map_or(0, |(look, _)| look);
    let released = last_action(Action::Release).map_or(0, |(look, _)| look);
    if fired > released {
        let is_news = |(look, seen): (usize, &Seen)| {
            look > fired && seen.said.is_some_and(|said| said.date(look).is_none_or(|date| date > fired))
        };
        let expected = match last.server {
            Server::Runs if at(now) - at(fired) >= GRACE => Some(Action::Kill),
            Server::Ended if looks().any(is_news) => Some(Action::Release),
            _ => None,
        };
        assert_eq!(last.action, expected, "after it has fired: {history:?}");
        return;
    }
    // A start of Patroni counts only for a watchdog that has fired, up to the look in which it lets servers start again.
    let disarms = |(look, seen): &(usize, &Seen)| match seen.said {
        Some(Said::Disarm) => true,
        Some(Said::Started) => looks().take(look - 1).any(|(fire, seen)| {
            let release = looks().find(|(it, seen)| *it > fire && seen.action == Some(Action::Release));
            seen.action == Some(Action::Fire) && release.is_none_or(|(release, _)| *look <= release)
        }),
        _ => false,
    };
    let disarmed = looks().filter(disarms).last().map_or(0, |(look, _)| look);
    let since = || looks().filter(|(look, _)| *look > disarmed);
    let confirmed = since().filter_map(|(look, seen)| seen.said?.date(look)).max();
    let limit =
        if since().any(|(_, seen)| matches!(seen.said, Some(Said::Arm { .. }))) { ASKED } else { LIMIT };
    let is_late = confirmed.is_some_and(|confirmed| at(now) - at(confirmed) >= limit);
    assert_eq!(last.action, is_late.then_some(Action::Fire), "{history:?}");
}

/// Checks a sequence after which Patroni has the lock, as far as the watchdog knows.
fn check_confirmed(history: &[Seen]) {
    let look = |action| history.iter().rposition(|seen| seen.action == Some(action));
    assert!(look(Action::Fire) <= look(Action::Release), "it has fired: {history:?}");
    let dates = (1..).zip(history).filter_map(|(look, seen)| seen.said?.date(look));
    let confirmed = dates.max().expect("nothing was confirmed");
    assert!(at(history.len()) - at(confirmed) < LIMIT, "{history:?}");
    let last = history.iter().rev().find_map(|seen| seen.said);
    assert!(last != Some(Said::Disarm), "{history:?}");
}

fn explore(machine: Machine, history: &mut Vec<Seen>, depth: usize, looks: &mut usize) {
    if depth == 0 {
        return;
    }
    let now = history.len() + 1;
    for said in SAID {
        for server in [Server::Runs, Server::Ended] {
            let event = said.map(|said| said.event(now));
            let (next, action) = machine.look(&Look { now: at(now), events: event.as_slice(), server });
            history.push(Seen { said, server, action });
            check(history);
            if next.leadership(at(now)) == Leadership::Confirmed {
                check_confirmed(history);
            }
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
    assert_eq!(looks, (1..=6).map(|depth| 12_usize.pow(depth)).sum::<usize>());
}

fn seconds(seconds: u64) -> BootTime {
    BootTime::after_boot(Duration::from_secs(seconds))
}

fn arm(sent: u64) -> Event {
    Event::Command(Command::Arm { asked: Duration::from_mins(1), sent: seconds(sent) })
}

fn keepalive(sent: u64) -> Event {
    Event::Command(Command::KeepAlive(seconds(sent)))
}

/// One after the other, each at a second: whether the last look has ended the server, and no other.
fn fires_at_the_end(looks: &[(u64, Option<Event>)]) -> bool {
    let mut machine = Machine::new();
    let mut actions = Vec::new();
    for (now, event) in looks {
        let look = Look { now: seconds(*now), events: event.as_slice(), server: Server::Runs };
        let (next, action) = machine.look(&look);
        machine = next;
        actions.push(action);
    }
    let last = actions.pop().flatten();
    assert!(actions.iter().all(Option::is_none), "{actions:?}");
    last == Some(Action::Fire)
}

#[test]
fn watchdog_never_waits_longer_than_its_own_limit() {
    let limit = LIMIT.as_secs();
    assert!(!fires_at_the_end(&[(1, Some(arm(1))), (limit, None)]));
    assert!(fires_at_the_end(&[(1, Some(arm(1))), (limit + 1, None)]));
    assert!(fires_at_the_end(&[
        (1, Some(arm(1))),
        (2, Some(keepalive(2))),
        (limit + 1, None),
        (limit + 2, None)
    ]));
    // A keepalive of a Patroni that had not opened it arms it too.
    assert!(fires_at_the_end(&[(1, Some(keepalive(1))), (limit + 1, None)]));
}

#[test]
fn lock_counts_from_when_its_request_was_sent() {
    let limit = LIMIT.as_secs();
    // Patroni was stopped between the response and the keepalive, or before it opened the watchdog.
    assert!(fires_at_the_end(&[(1, Some(arm(1))), (8, Some(keepalive(2))), (limit + 2, None)]));
    assert!(fires_at_the_end(&[(limit + 1, Some(arm(1)))]));
    // The older of two dates comes last.
    assert!(!fires_at_the_end(&[
        (1, Some(arm(1))),
        (9, Some(keepalive(9))),
        (9, Some(keepalive(2))),
        (limit + 2, None)
    ]));
}

#[test]
fn lock_is_known_while_its_last_request_is_young() {
    let known = |events: &[Event], now: u64| {
        let look = Look { now: seconds(now), events, server: Server::Runs };
        Machine::new().look(&look).0.leadership(seconds(now))
    };
    let limit = LIMIT.as_secs();
    let disarm = Event::Command(Command::Disarm);
    assert_eq!(known(&[], 5), Leadership::Disarmed);
    assert_eq!(known(&[arm(5)], 5), Leadership::Confirmed);
    assert_eq!(known(&[arm(5)], limit + 4), Leadership::Confirmed);
    assert_eq!(known(&[arm(5)], limit + 5), Leadership::Fired);
    assert_eq!(known(&[arm(5), keepalive(9)], limit + 8), Leadership::Confirmed);
    assert_eq!(known(&[arm(5), disarm], 5), Leadership::Disarmed);
    // Between two looks.
    let look = Look { now: seconds(5), events: &[arm(5)], server: Server::Runs };
    assert_eq!(Machine::new().look(&look).0.leadership(seconds(limit + 5)), Leadership::Outdated);
}

#[test]
fn keepalive_from_before_a_freeze_does_not_count_after_it() {
    // The machine was suspended. The keepalive was in the FIFO by then.
    assert!(fires_at_the_end(&[(1, Some(arm(1))), (2, Some(keepalive(2))), (30, Some(keepalive(3)))]));
}

#[test]
fn clock_counts_from_the_boot_of_the_machine() {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let since_boot: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let now = BootTime::now() - seconds(0);
    assert!((now.as_secs_f64() - since_boot).abs() < 10.0, "{now:?} {since_boot}");
}

/// A server that does not end by SIGQUIT, and has a child.
const STUBBORN: &str =
    "trap '' QUIT; sleep 600 & echo $! > $DIR/child; touch $DIR/up; while :; do sleep 0.05; done";

/// The date of a confirmation that was asked for just now, as Patroni writes it.
fn date() -> String {
    format!("T{}\n", (BootTime::now() - seconds(0)).as_nanos())
}

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
    patroni.write_all((date() + "Ctimeout=2\n").as_bytes()).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        patroni.write_all((date() + "1").as_bytes()).unwrap();
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
    patroni.write_all((date() + "Ctimeout=1\nV").as_bytes()).unwrap();
    drop(patroni);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!fixture.access.is_idle());
}

#[tokio::test(flavor = "multi_thread")]
async fn promotion_is_decided_by_what_patroni_has_written_before() {
    let Watched { fixture, mut patroni, .. } = watched("touch $DIR/up; exec sleep 600");
    let _client = fixture.client("postgres -D DATA");
    until("the server runs", up(&fixture));
    let promote = || fixture.client("pg_ctl promote -D DATA -W").wait();
    let (exit, text) = promote().await;
    assert!(!exit.success() && text.contains("the watchdog is not armed"), "{text}");
    patroni.write_all((date() + "Ctimeout=14\n").as_bytes()).unwrap();
    let (exit, text) = promote().await;
    assert!(exit.success(), "{text}");
    patroni.write_all(b"V").unwrap();
    assert!(!promote().await.0.success());
    // Patroni was stopped between taking the lock, right after the boot of the machine, and opening the watchdog.
    patroni.write_all(b"T1\nCtimeout=14\n").unwrap();
    let (exit, text) = promote().await;
    assert!(!exit.success() && text.contains("the watchdog has ended the server"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_patroni_starves_the_watchdog_until_it_is_started_again() {
    let Watched { fixture, mut patroni, starts } = watched("touch $DIR/up; exec sleep 600");
    let client = fixture.client("postgres -D DATA");
    until("the server runs", up(&fixture));
    patroni.write_all((date() + "Ctimeout=1\n").as_bytes()).unwrap();
    drop(patroni);
    // The shell's sleep ends by SIGQUIT.
    until("the server has ended", || fixture.access.is_idle());
    drop(client);
    starts.record();
    until_started(&fixture).await;
}
