//! No promotion while paused, and one primary afterwards.

use pgops_patroni_model::check;
use pgops_patroni_model::pause::rules::{Belief, Gate, Leader, Resume, Rules, Work};
use pgops_patroni_model::pause::{NO_REFUSED_START, ONE_PRIMARY, Pause};

use crate::report::report;

fn holds(name: &str, rules: Rules) {
    for outcome in [
        report(&format!("{name}, 2 members"), check::all(Pause::<2> { rules })),
        report(&format!("{name}, 3 members"), check::all(Pause::<3> { rules })),
    ] {
        assert!(outcome.holds());
    }
}

fn violates(name: &str, property: &'static str, rules: Rules) {
    let outcome = report(name, check::until_violated(Pause::<2> { rules }, property));
    assert!(outcome.counterexample(property).is_some());
}

#[test]
fn paused_database_has_one_primary_and_no_promotion() {
    holds("restart", Rules::of_patroni(Work::Restart));
}

#[test]
fn major_upgrade_has_one_primary_in_both_scopes() {
    holds("major upgrade", Rules::of_patroni(Work::MajorUpgrade));
}

#[test]
fn suspended_watchdog_needs_no_assumption_on_patroni() {
    holds("restart, watchdog suspended", Rules::with_suspended_watchdog(Work::Restart));
    holds("major upgrade, watchdog suspended", Rules::with_suspended_watchdog(Work::MajorUpgrade));
}

#[test]
fn leader_frozen_while_the_pause_is_lifted_has_two_primaries() {
    let rules = Rules { leader: Leader::MayFreeze, ..Rules::of_patroni(Work::Restart) };
    violates("leader frozen", ONE_PRIMARY, rules);
}

#[test]
fn resume_before_the_server_has_two_primaries() {
    let rules = Rules { resume: Resume::BeforeServer, ..Rules::of_patroni(Work::Restart) };
    violates("resume first", ONE_PRIMARY, rules);
}

#[test]
fn pause_that_not_every_member_believes_has_two_primaries() {
    let rules = Rules { belief: Belief::AsWritten, ..Rules::of_patroni(Work::Restart) };
    violates("pause as written", ONE_PRIMARY, rules);
}

#[test]
fn major_upgrade_without_the_gate_starts_a_server_on_the_runners_data() {
    let rules = Rules { gate: Gate::Absent, ..Rules::of_patroni(Work::MajorUpgrade) };
    violates("no gate", NO_REFUSED_START, rules);
}
