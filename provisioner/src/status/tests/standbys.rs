//! Databases with standbys.

use super::*;
use crate::fixtures::built_with_standbys;
use pgops_api::members::{MemberRole, MemberStatus};

fn member(ordinal: u32, role: MemberRole, ready: bool) -> MemberStatus {
    MemberStatus { pod: format!("orders-{ordinal}"), role: Some(role), ready, ..MemberStatus::default() }
}

/// Observes a database of three servers, as far as their pods could be read.
fn observe_members(database: &mut Postgres, members: Option<&[MemberStatus]>) {
    let ready = members.unwrap_or_default().iter().filter(|member| member.ready).count();
    let mut workload = built_with_standbys(database, &version("13.16", "13.16", None)).workload;
    workload.metadata.generation = Some(2);
    workload.status = Some(StatefulSetStatus {
        replicas: 3,
        ready_replicas: i32::try_from(ready).ok(),
        observed_generation: Some(2),
        ..StatefulSetStatus::default()
    });
    let running = Observation { members: members.map(ToOwned::to_owned), ..Observation::default() };
    let observed = Observed {
        workload: Some(&workload),
        image: None,
        build_error: None,
        blocker: None,
        running: &running,
        now: at(1),
    };
    database.status = Some(status(database, &observed));
}

fn three(primary: bool, standbys: bool) -> [MemberStatus; 3] {
    [
        member(0, MemberRole::Standby, standbys),
        member(1, MemberRole::Primary, primary),
        member(2, MemberRole::Standby, standbys),
    ]
}

#[rstest]
#[case::all_answer(true, true, PostgresPhase::Ready)]
#[case::the_primary_answers(true, false, PostgresPhase::Critical)]
#[case::standbys_answer(false, true, PostgresPhase::NotReady)]
fn phase_says_whether_the_primary_and_the_standbys_answer(
    #[case] primary: bool,
    #[case] standbys: bool,
    #[case] expected: PostgresPhase,
) {
    let mut database = database(json!({ "replicas": 3 }));
    observe_members(&mut database, Some(&three(true, true)));
    observe_members(&mut database, Some(&three(primary, standbys)));
    assert_eq!(database.phase(), expected);
}

/// Otherwise another volume could be initialised while the first standby is cloned.
#[test]
fn database_counts_as_initialised_once_its_primary_answers() {
    let mut database = database(json!({ "replicas": 3 }));
    observe_members(&mut database, Some(&three(false, false)));
    assert!(!database.was_initialized());
    observe_members(&mut database, Some(&three(true, false)));
    assert!(database.was_initialized());
}

#[test]
fn members_stay_as_they_were_while_they_cannot_be_read() {
    let mut database = database(json!({ "replicas": 3 }));
    observe_members(&mut database, Some(&three(true, true)));
    observe_members(&mut database, None);
    assert_eq!(database.status.unwrap().members.as_deref(), Some(&three(true, true)[..]));
}

#[test]
fn database_of_one_server_has_no_members() {
    let mut database = database(json!({}));
    observe(&mut database, Some(&built(1, 1, 2)), None, 1);
    assert_eq!(database.status.unwrap().members, None);
}
