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
    scenario(&json!({ "type": "Restart" }))
}

fn scenario(spec: &serde_json::Value) -> Scenario {
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
    let mut scenario = Scenario::new(json!({ "replicas": 3 }), spec);
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

#[test]
fn resources_with_which_a_standby_does_not_start_are_put_back_with_the_primary_untouched() {
    let resources = json!({ "postgres": { "resources": { "requests": { "memory": "2Gi" } } } });
    let mut scenario = scenario(&json!({ "type": "VerticalScaling", "verticalScaling": resources }));
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    for ordinal in 0..3 {
        outdate(&mut scenario, ordinal);
    }
    assert_eq!(scenario.steps(3), ["complete VerticalScale", "begin Restart", "delete orders-2"]);
    set(&mut scenario, 2, server("new-2", MemberRole::Standby));
    change(&mut scenario, 2, |server| server.health = Health::Broken("it ended 3 times".to_owned()));
    assert_eq!(scenario.steps(2), ["fail VerticalScale StandbysNotReady", "revert"]);
    // The others are of the template that was put back.
    for ordinal in 0..2 {
        change(&mut scenario, ordinal, |server| server.template = Template::Current);
    }
    change(&mut scenario, 2, |server| {
        server.template = Template::Earlier;
        server.health = Health::NotReady;
    });
    let steps = scenario.steps(1);
    assert_eq!(steps, ["delete orders-2"]);
    set(&mut scenario, 2, server("newer-2", MemberRole::Standby));
    assert_eq!(scenario.steps(2), ["complete Restart", "end StandbysNotReady"]);
    let (_, _, message) = scenario.end();
    assert!(message.starts_with("demo/orders serves with the previous resources: "), "{message}");
}

fn change(scenario: &mut Scenario, ordinal: usize, change: impl FnOnce(&mut Server)) {
    match &mut observed(scenario).members[ordinal].state {
        MemberState::Exists(server) => change(server),
        other => panic!("{other:?}"),
    }
}

fn outdate(scenario: &mut Scenario, ordinal: usize) {
    change(scenario, ordinal, |server| server.template = Template::Earlier);
}
