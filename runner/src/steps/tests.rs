//! What the table says of each step is part of the proof in `saga/executor/tests.rs` and of docs/concepts/upgrade-steps.md.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::*;
use crate::outage::Outage;

fn names(steps: impl IntoIterator<Item = Step>) -> BTreeSet<String> {
    steps.into_iter().map(|step| step.to_string()).collect()
}

fn names_where(is: impl Fn(&StepSpec) -> bool) -> BTreeSet<String> {
    names(STEPS.iter().filter(|spec| is(spec)).map(|spec| spec.step))
}

#[test]
fn table_covers_exactly_the_steps_of_both_kinds() {
    let [minor, major] = [UpgradeKind::Minor, UpgradeKind::Major].map(Step::sequence);
    let table = names_where(|_| true);
    assert_eq!(table, names(minor.iter().chain(major).copied()));
    assert_eq!(table.len(), STEPS.len());
    for step in major {
        assert_eq!(spec(*step).step, *step);
    }
}

#[test]
fn cancel_interrupts_only_long_steps_before_the_switchover() {
    assert_eq!(
        names_where(|spec| spec.interruptible),
        names([
            Step::CopiedOldBinaries,
            Step::Preflight,
            Step::DataDirectoryInitialized,
            Step::PauseDatabase,
            Step::StopDatabase,
            Step::PgUpgraded,
        ])
    );
}

#[test]
fn upgrade_succeeds_without_the_steps_after_the_outage() {
    assert_eq!(
        names_where(|spec| spec.optional),
        names([Step::CleanUp, Step::UpdateExtensions, Step::RebuildIndexes, Step::Analyze])
    );
}

#[test]
fn steps_with_an_effect_before_the_point_of_no_return_have_an_undo() {
    assert_eq!(
        names_where(|spec| spec.undo.is_some()),
        names([
            Step::DataDirectoryInitialized,
            Step::PauseDatabase,
            Step::StopDatabase,
            Step::PgUpgraded,
            Step::ReplacedDataDirectory,
            Step::UpdateStatefulSetImage,
            Step::StartDatabase,
        ])
    );
}

#[test]
fn steps_that_wait_for_a_pod_are_limited_to_15_minutes() {
    let limits = |limit: fn(&StepSpec) -> Option<Duration>| {
        assert!(STEPS.iter().filter_map(limit).all(|limit| limit == Duration::from_mins(15)));
        names_where(|spec| limit(spec).is_some())
    };
    assert_eq!(
        limits(|spec| spec.timeout),
        names([Step::StopDatabase, Step::StartDatabase, Step::VerifyDatabase])
    );
    assert_eq!(
        limits(|spec| spec.undo_timeout),
        names([Step::StopDatabase, Step::StartDatabase, Step::UpdateStatefulSetImage])
    );
}

#[test]
fn point_of_no_return_depends_on_kind_and_transfer_mode() {
    let major = |mode| point_of_no_return(UpgradeKind::Major, mode);
    for mode in [TransferMode::Copy, TransferMode::CopyFileRange, TransferMode::Clone] {
        assert_eq!(major(Some(mode)), PointOfNoReturn::EndOf(Step::StartDatabase));
    }
    for mode in [Some(TransferMode::Link), None] {
        assert_eq!(major(mode), PointOfNoReturn::StartOf(Step::ReplacedDataDirectory));
    }
    for mode in [Some(TransferMode::Link), Some(TransferMode::Copy), None] {
        let point = point_of_no_return(UpgradeKind::Minor, mode);
        assert_eq!(point, PointOfNoReturn::EndOf(Step::VerifyDatabase));
    }
}

fn outage(kind: UpgradeKind, events: &[(i64, Step, Event)]) -> String {
    outage_of(kind, Stopped::Only, events)
}

fn outage_of(kind: UpgradeKind, stopped: Stopped, events: &[(i64, Step, Event)]) -> String {
    let mut outage = Outage::default();
    for (second, step, event) in events {
        if let Some(change) = outage_change(kind, stopped, *step, event) {
            outage.record(change, Timestamp::from_second(*second).unwrap(), None);
        }
    }
    outage.to_string()
}

#[test]
fn outage_lasts_from_the_stop_to_the_answer() {
    let events = [
        (10, Step::StopDatabase, Event::Started),
        (14, Step::PgUpgraded, Event::Succeeded),
        (16, Step::StartDatabase, Event::Succeeded),
    ];
    assert_eq!(outage(UpgradeKind::Major, &events), "6.0s");
}

#[test]
fn outage_with_standbys_is_that_of_the_switchover() {
    let events = [
        (5, Step::UpdateStatefulSetImage, Event::Succeeded),
        (10, Step::StopDatabase, Event::Started),
        (12, Step::StopDatabase, Event::Succeeded),
        (30, Step::StartDatabase, Event::Succeeded),
    ];
    let minor = |events| outage_of(UpgradeKind::Minor, Stopped::OneByOne, events);
    assert_eq!(minor(&events), "2.0s");
    let undone = [
        (10, Step::StopDatabase, Event::Started),
        (13, Step::StopDatabase, Event::Undone),
        (40, Step::UpdateStatefulSetImage, Event::Undone),
    ];
    assert_eq!(minor(&undone), "3.0s");
}

#[test]
fn outage_is_not_shortened_by_a_second_start_of_the_stop() {
    let events = [
        (10, Step::StopDatabase, Event::Started),
        (60, Step::StopDatabase, Event::Started),
        (70, Step::StopDatabase, Event::Undone),
    ];
    assert_eq!(outage(UpgradeKind::Major, &events), "60.0s");
}

#[test]
fn outage_of_a_minor_upgrade_ends_when_the_image_is_restored() {
    let events = [
        (10, Step::StopDatabase, Event::Started),
        (12, Step::StopDatabase, Event::Undone),
        (15, Step::UpdateStatefulSetImage, Event::Undone),
    ];
    assert_eq!(outage(UpgradeKind::Minor, &events), "5.0s");
    assert_eq!(outage(UpgradeKind::Minor, &events[2..]), "");
}

#[test]
fn outage_of_a_minor_upgrade_that_is_undone_after_its_start_has_two_parts() {
    let events = [
        (10, Step::StopDatabase, Event::Started),
        (12, Step::StartDatabase, Event::Succeeded),
        (50, Step::StartDatabase, Event::Undone),
        (53, Step::UpdateStatefulSetImage, Event::Undone),
    ];
    assert_eq!(outage(UpgradeKind::Minor, &events), "5.0s");
    // In a major upgrade no server serves between the undo of its start and the old one's.
    let events = [
        (10, Step::StopDatabase, Event::Started),
        (50, Step::StartDatabase, Event::Undone),
        (53, Step::UpdateStatefulSetImage, Event::Undone),
        (55, Step::StopDatabase, Event::Undone),
    ];
    assert_eq!(outage(UpgradeKind::Major, &events), "45.0s");
}

/// A checkpoint that is made once the step is recorded as started would be counted as outage.
#[test]
fn only_the_step_that_begins_the_outage_is_prepared() {
    let begins = names_where(|spec| spec.outage == Some(OutageChange::Begins));
    assert_eq!(names_where(|spec| spec.prepare.is_some()), begins);
}
