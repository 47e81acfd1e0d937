use super::next;
use crate::launcher::fixtures::{StateBuilder, UID, pods};
use pgops_api::opsrequest::Phase;
use rstest::rstest;

fn unnamed() -> StateBuilder {
    StateBuilder::new().held_job()
}

fn named() -> StateBuilder {
    StateBuilder::new().held_and_named_job()
}

#[rstest]
#[case::unnamed(unnamed(), "Claim")]
#[case::recreated(unnamed().claimed_by(UID, Some("an-earlier-one")).progressing(), "Claim")]
#[case::named(named(), "StartJob")]
#[case::named_when_recreated(named().progressing(), "StartJob")]
#[case::named_alongside_pods_of_an_earlier_job(named().pod(pods::running(900)), "Recheck")]
#[case::named_and_no_longer_admitted(named().target_version("13.1"), "Deny")]
#[case::named_and_deleted(named().deleted(), "Withdraw")]
#[case::named_and_cancelled(named().cancelled(), "Withdraw")]
#[case::recreated_and_cancelled(named().progressing().cancelled(), "StartJob")]
#[case::claimed_by_another_meanwhile(
    unnamed().claimed_by("other", None).phase_of("other", Some(Phase::Progressing)),
    "Wait"
)]
fn held_job_starts_only_when_the_claim_names_it(#[case] state: StateBuilder, #[case] expected: &str) {
    assert_eq!(next(state), expected);
}
