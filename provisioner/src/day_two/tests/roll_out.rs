//! The restart of a database with three servers, of which the first is the primary.

use pgops_api::members::MemberRole;
use pgops_api::opsrequest::Phase;
use pgops_api::rollout::{
    Commit, Health, Lock, Member, MemberState, Observed, Patroni, Replication, Server, SwitchoverRecord,
    Template,
};
use serde_json::json;

use super::{Rollout, Scenario};

fn server(uid: &str, role: MemberRole) -> MemberState {
    MemberState::Exists(Server {
        uid: uid.to_owned(),
        template: Template::Current,
        role: Some(role),
        health: Health::Ready,
        replication: if role == MemberRole::Standby { Replication::Streaming } else { Replication::None },
        timeline: Some(3),
        position: Some(1 << 30),
    })
}

fn restart() -> Scenario {
    let roles = [MemberRole::Primary, MemberRole::Standby, MemberRole::Standby];
    let members = roles.iter().enumerate().map(|(ordinal, role)| Member {
        pod: format!("orders-{ordinal}"),
        state: server(&format!("old-{ordinal}"), *role),
    });
    let observed = Observed {
        members: members.collect(),
        lock: Lock { holder: Some("orders-0".to_owned()), end_of_wal: Some(1 << 30), ..Lock::default() },
        commit: Commit::Asynchronous,
        switchover: None,
        patroni: Patroni::Active,
    };
    let mut scenario = Scenario::new(json!({ "replicas": 3 }), &json!({ "type": "Restart" }));
    scenario.rollout = Some(Rollout { scope: "orders-ha-17".to_owned(), observed });
    scenario
}

fn observed(scenario: &mut Scenario) -> &mut Observed {
    &mut scenario.rollout.as_mut().unwrap().observed
}

fn set(scenario: &mut Scenario, ordinal: usize, state: MemberState) {
    observed(scenario).members[ordinal].state = state;
}

#[test]
fn restart_replaces_standbys_then_switches_over_and_the_old_primary_is_last() {
    let mut scenario = restart();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete orders-2"]);
    set(&mut scenario, 2, MemberState::Ending);
    assert_eq!(scenario.steps(1), ["wait StandbysNotReady"]);
    set(&mut scenario, 2, server("new-2", MemberRole::Standby));
    assert_eq!(scenario.steps(1), ["delete orders-1"]);
    set(&mut scenario, 1, server("new-1", MemberRole::Standby));
    assert_eq!(scenario.steps(1), ["switch over from orders-0 to orders-1"]);
    observed(&mut scenario).switchover = Some(SwitchoverRecord::new("orders-0", "orders-1"));
    assert_eq!(scenario.steps(1), ["wait StandbysNotReady"]);
    observed(&mut scenario).switchover = None;
    observed(&mut scenario).lock.holder = Some("orders-1".to_owned());
    set(&mut scenario, 1, server("new-1", MemberRole::Primary));
    set(&mut scenario, 0, server("old-0", MemberRole::Standby));
    assert_eq!(scenario.steps(1), ["delete orders-0"]);
    set(&mut scenario, 0, server("new-0", MemberRole::Standby));
    assert_eq!(scenario.steps(2), ["complete Restart", "succeed"]);
    assert_eq!(scenario.end(), (Phase::Successful, "Successful".into(), "demo/orders was restarted".into()));
}

#[test]
fn restart_begins_once_every_standby_streams() {
    let mut scenario = restart();
    set(&mut scenario, 1, MemberState::Missing);
    assert_eq!(scenario.steps(1), ["wait StandbysNotReady"]);
    set(&mut scenario, 1, server("old-1", MemberRole::Standby));
    assert_eq!(scenario.steps(1), ["begin Restart"]);
}

#[test]
fn restart_ends_if_a_standby_does_not_come_up_again() {
    let mut scenario = restart();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete orders-2"]);
    set(&mut scenario, 2, MemberState::Missing);
    assert_eq!(scenario.steps(1), ["wait StandbysNotReady"]);
    scenario.now += 15 * 60;
    assert_eq!(scenario.steps(2), ["fail Restart StandbysNotReady", "end StandbysNotReady"]);
    let (_, _, message) = scenario.end();
    assert!(message.contains("pod orders-2 does not exist"), "{message}");
}
