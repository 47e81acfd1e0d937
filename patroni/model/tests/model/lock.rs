//! Never two servers that take writes at once.

use pgops_api::failover_timings::Timings;
use pgops_patroni_model::check;
use pgops_patroni_model::lock::rules::{Freezes, Gate, Pid1, Rules, Ticks, Watchdog};
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

#[test]
fn two_members_never_lead_at_once() {
    holds::<2>("2 members, seconds", Rules::of_the_timings(seconds()));
}

#[test]
fn three_members_never_lead_at_once() {
    holds::<3>("3 members, small timings", Rules::of_the_timings(SMALL));
}

#[test]
#[ignore = "minutes: `make model`"]
fn three_members_never_lead_at_once_with_larger_numbers() {
    holds::<3>("3 members, seconds", Rules::of_the_timings(seconds()));
    holds::<3>("frozen anywhere, 3 members, small timings", Rules::with_dated_keepalives(SMALL));
}

#[test]
fn sum_that_reaches_the_ttl_has_two_primaries() {
    has_two_primaries::<2>("watchdog of 15 s", Rules::of_the_timings(Ticks { watchdog: 15, ..seconds() }));
}

#[test]
fn inequality_is_exact() {
    let mut states = 0;
    for (ttl, renewal, watchdog, kill) in small_timings() {
        let ticks = Ticks { ttl, renewal, watchdog, kill };
        let lock = Lock::<2> { rules: Rules::of_the_timings(ticks), numbers: Numbers::Forgotten };
        let outcome = check::until_violated(lock, ONE_PRIMARY);
        states += outcome.states;
        assert_eq!(outcome.counterexample(ONE_PRIMARY).is_none(), ticks.server_ends_in_time(), "{ticks:?}");
    }
    println!("all small timings: {states} states");
}

fn small_timings() -> impl Iterator<Item = (u8, u8, u8, u8)> {
    (1..=7).flat_map(|ttl| {
        (0..=3).flat_map(move |renewal| {
            (1..=3).flat_map(move |watchdog| (0..=2).map(move |kill| (ttl, renewal, watchdog, kill)))
        })
    })
}

#[test]
fn frozen_patroni_without_watchdog_has_two_primaries() {
    let rules = Rules { watchdog: Watchdog::Absent, ..Rules::of_the_timings(SMALL) };
    has_two_primaries::<2>("no watchdog", rules);
}

#[test]
fn frozen_pid_1_has_two_primaries() {
    let rules = Rules { pid1: Pid1::Freezes, ..Rules::of_the_timings(SMALL) };
    has_two_primaries::<2>("PID 1 frozen", rules);
}

/// Only the keepalive is late: promotions are gated.
fn frozen_before_keepalive(ticks: Ticks) -> Rules {
    Rules { freezes: Freezes::Anywhere, promotion_gate: Gate::Enforced, ..Rules::of_the_timings(ticks) }
}

#[test]
fn patroni_frozen_before_it_reads_a_confirmation_has_two_primaries() {
    has_two_primaries::<2>("keepalives not dated, seconds", frozen_before_keepalive(seconds()));
}

#[test]
fn keepalives_need_no_date_if_twice_the_watchdog_and_the_kill_are_less_than_the_ttl() {
    let ticks = Ticks { watchdog: 9, ..seconds() };
    holds::<2>("keepalives not dated, watchdog of 9 s", frozen_before_keepalive(ticks));
}

#[test]
fn patroni_frozen_before_it_promotes_has_two_primaries() {
    let rules = Rules { promotion_gate: Gate::Absent, ..Rules::with_dated_keepalives(SMALL) };
    has_two_primaries::<2>("frozen anywhere, promotion not gated", rules);
}

#[test]
fn patroni_frozen_anywhere_is_safe_with_dated_keepalives_and_gated_promotions() {
    holds::<2>("frozen anywhere, 2 members, seconds", Rules::with_dated_keepalives(seconds()));
}

#[test]
fn dated_keepalives_have_two_primaries_if_watchdog_and_kill_reach_the_ttl() {
    let ticks = Ticks { watchdog: 4, ..SMALL };
    has_two_primaries::<2>("frozen anywhere, watchdog too late", Rules::with_dated_keepalives(ticks));
}

#[test]
fn start_before_the_lock_is_seen_again_is_possible_without_the_gate() {
    let rules = Rules { start_gate: Gate::Absent, ..Rules::of_the_timings(SMALL) };
    violates::<2>("no gate", NO_REFUSED_START, rules);
}
