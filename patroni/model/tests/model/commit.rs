//! No acknowledged write is missing on a new primary.

use pgops_patroni_model::check;
use pgops_patroni_model::commit::rules::{Mode, Removal, Rules, Votes};
use pgops_patroni_model::commit::{Commit, NO_WRITE_LOST};

use crate::report::report;

fn holds<const N: usize>(name: &str, rules: Rules) {
    let outcome = report(name, check::all(Commit::<N> { rules }));
    assert!(outcome.holds());
}

fn loses_a_write<const N: usize>(name: &str, rules: Rules) {
    let outcome = report(name, check::until_violated(Commit::<N> { rules }, NO_WRITE_LOST));
    assert!(outcome.counterexample(NO_WRITE_LOST).is_some());
}

#[test]
fn acknowledged_write_survives_with_one_synchronous_standby() {
    holds::<2>("on, 2 members", Rules::safe(Mode::On));
}

#[test]
fn acknowledged_write_survives_with_a_quorum() {
    holds::<3>("quorum, 3 members", Rules { promotions: 1, ..Rules::safe(Mode::Quorum) });
}

#[test]
#[ignore = "minutes: `make model`"]
fn acknowledged_write_survives_two_failovers_of_three_members() {
    holds::<3>("on, 3 members", Rules::safe(Mode::On));
    holds::<3>("quorum, 3 members", Rules::safe(Mode::Quorum));
}

#[test]
fn asynchronous_standby_lacks_an_acknowledged_write() {
    loses_a_write::<2>("off, 2 members", Rules::safe(Mode::Off));
}

#[test]
fn vote_of_a_standby_that_still_follows_loses_a_write() {
    loses_a_write::<3>(
        "votes while following",
        Rules { votes: Votes::WhileFollowing, ..Rules::safe(Mode::Quorum) },
    );
}

#[test]
fn standby_removed_before_the_others_have_caught_up_loses_a_write() {
    loses_a_write::<3>("removal at once", Rules { removal: Removal::AtOnce, ..Rules::safe(Mode::Quorum) });
}
