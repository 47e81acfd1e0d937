//! Never two servers that take writes at once.

use pgops_api::failover_timings::Timings;
use pgops_patroni_model::check;
use pgops_patroni_model::lock::rules::{Gate, Pid1, Rules, Ticks, Watchdog};
use pgops_patroni_model::lock::{Lock, NO_REFUSED_START, Numbers, ONE_PRIMARY};

use crate::report::report;

/// The smallest timings whose sum is less than the ttl, and that differ.
const SMALL: Ticks = Ticks { ttl: 5, renewal: 1, watchdog: 2, kill: 1 };

/// Those of a database with standbys.
fn seconds() -> Ticks {
    Ticks::seconds(Timings::STANDBYS)
}

fn holds<const N: usize>(name: &str, rules: Rules) {
    let outcome = report(name, check::all(Lock::<N> { rules, numbers: Numbers::Forgotten }));
    assert!(outcome.holds());
}

fn has_two_primaries<const N: usize>(name: &str, rules: Rules) {
    violates::<N>(name, ONE_PRIMARY, rules);
}

fn violates<const N: usize>(name: &str, property: &'static str, rules: Rules) {
    let lock = Lock::<N> { rules, numbers: Numbers::Kept };
    let outcome = report(name, check::until_violated(lock, property));
    assert!(outcome.counterexample(property).is_some());
}

/// Timings that are safe without dates too.
const WITHOUT_DATES: Ticks = Ticks { ttl: 20, renewal: 4, watchdog: 10, kill: 1 };

#[test]
fn two_members_never_lead_at_once() {
    holds::<2>("2 members, seconds", Rules::of_pgops(seconds()));
}

#[test]
fn three_members_never_lead_at_once() {
    holds::<3>("3 members without dates, small timings", Rules::without_dates(SMALL));
}

#[test]
#[ignore = "minutes: `make model`"]
fn three_members_never_lead_at_once_with_larger_numbers() {
    holds::<3>("3 members without dates, seconds", Rules::without_dates(WITHOUT_DATES));
    holds::<3>("3 members, small timings", Rules::of_pgops(SMALL));
}

#[test]
fn sum_that_reaches_the_ttl_has_two_primaries() {
    let ticks = Ticks { watchdog: 17, ..seconds() };
    has_two_primaries::<2>("watchdog of 17 s", Rules::of_pgops(ticks));
    let ticks = Ticks { watchdog: 15, ..WITHOUT_DATES };
    has_two_primaries::<2>("watchdog of 15 s without dates", Rules::without_dates(ticks));
}

#[test]
fn inequality_is_exact() {
    let all = |name: &str, ticks: Vec<Ticks>, rules: fn(Ticks) -> Rules, ends_in_time: fn(Ticks) -> bool| {
        let mut states = 0;
        for ticks in ticks {
            let lock = Lock::<2> { rules: rules(ticks), numbers: Numbers::Forgotten };
            let outcome = check::until_violated(lock, ONE_PRIMARY);
            states += outcome.states;
            assert_eq!(outcome.counterexample(ONE_PRIMARY).is_none(), ends_in_time(ticks), "{ticks:?}");
        }
        println!("all small timings, {name}: {states} states");
    };
    // How long a request takes does not matter.
    let with_dates = small_timings().filter(|ticks| ticks.renewal == 1).collect();
    all("with dates", with_dates, Rules::of_pgops, Ticks::server_ends_in_time);
    let without = small_timings().collect();
    all("without dates", without, Rules::without_dates, Ticks::server_ends_in_time_without_dates);
}

fn small_timings() -> impl Iterator<Item = Ticks> {
    (1..=7).flat_map(|ttl| {
        (0..=3).flat_map(move |renewal| {
            (1..=3).flat_map(move |watchdog| (0..=2).map(move |kill| Ticks { ttl, renewal, watchdog, kill }))
        })
    })
}

#[test]
fn frozen_patroni_without_watchdog_has_two_primaries() {
    let rules = Rules { watchdog: Watchdog::Absent, ..Rules::without_dates(SMALL) };
    has_two_primaries::<2>("no watchdog", rules);
}

#[test]
fn frozen_pid_1_has_two_primaries() {
    has_two_primaries::<2>("PID 1 frozen", Rules { pid1: Pid1::Freezes, ..Rules::of_pgops(SMALL) });
}

/// Only the keepalive is late: promotions are gated.
fn frozen_before_keepalive(ticks: Ticks) -> Rules {
    Rules { watchdog: Watchdog::FromConfirmation, ..Rules::of_pgops(ticks) }
}

#[test]
fn patroni_frozen_before_it_reads_a_confirmation_has_two_primaries_without_dates() {
    has_two_primaries::<2>("keepalives without dates", frozen_before_keepalive(WITHOUT_DATES));
}

#[test]
fn keepalives_need_no_date_if_twice_the_watchdog_and_the_kill_are_less_than_the_ttl() {
    let ticks = Ticks { watchdog: 9, ..WITHOUT_DATES };
    holds::<2>("keepalives without dates, watchdog of 9 s", frozen_before_keepalive(ticks));
}

#[test]
fn patroni_frozen_before_it_promotes_has_two_primaries_without_the_gate() {
    let rules = Rules { promotion_gate: Gate::Absent, ..Rules::of_pgops(SMALL) };
    has_two_primaries::<2>("promotion not gated", rules);
}

#[test]
fn start_before_the_lock_is_seen_again_is_possible_without_the_gate() {
    let rules = Rules { start_gate: Gate::Absent, ..Rules::without_dates(SMALL) };
    violates::<2>("no gate", NO_REFUSED_START, rules);
}
