//! Single decisions as examples, and what must hold of every one as properties.

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use rstest::rstest;

use super::*;
use crate::members::MemberRole;

const END: u64 = 10 * MAX_LAG;
const TIMELINE: u32 = 3;

/// A server that is fit for its role.
fn server(ordinal: usize, role: MemberRole, template: Template) -> Server {
    Server {
        uid: format!("uid-{ordinal}"),
        template,
        role: Some(role),
        health: Health::Ready,
        replication: if role == MemberRole::Standby { Replication::Streaming } else { Replication::None },
        timeline: Some(TIMELINE),
        position: Some(END),
    }
}

fn lock(holder: Option<String>) -> Lock {
    Lock { holder, end_of_wal: Some(END), ..Lock::default() }
}

fn name(ordinal: usize) -> String {
    format!("orders-{ordinal}")
}

/// A database whose first server is the primary; with `true` a pod is of the present template.
#[derive(Debug)]
struct Database {
    members: Vec<Member>,
    lock: Lock,
    synchronous: Option<Vec<String>>,
    switchover: Option<SwitchoverRecord>,
    patroni: Patroni,
    if_unfit: IfUnfit,
}

impl Database {
    fn new(current: &[bool]) -> Self {
        let members = current.iter().enumerate().map(|(ordinal, current)| {
            let role = if ordinal == 0 { MemberRole::Primary } else { MemberRole::Standby };
            let template = if *current { Template::Current } else { Template::Earlier };
            Member { pod: name(ordinal), state: MemberState::Exists(server(ordinal, role, template)) }
        });
        Self {
            members: members.collect(),
            lock: lock(Some(name(0))),
            synchronous: None,
            switchover: None,
            patroni: Patroni::Active,
            if_unfit: IfUnfit::Wait,
        }
    }

    fn server(&mut self, ordinal: usize) -> &mut Server {
        match &mut self.members[ordinal].state {
            MemberState::Exists(server) => server,
            other => panic!("{other:?}"),
        }
    }

    fn with(mut self, ordinal: usize, change: impl FnOnce(&mut Server)) -> Self {
        change(self.server(ordinal));
        self
    }

    fn observed(&self) -> Observed {
        Observed {
            members: self.members.clone(),
            lock: self.lock.clone(),
            commit: Commit::new(self.synchronous.clone(), StreamingMode::Asynchronous),
            switchover: self.switchover.clone(),
            patroni: self.patroni,
        }
    }

    fn next(&self) -> Action {
        next(&self.observed(), self.if_unfit)
    }
}

fn replaces(ordinal: usize) -> Action {
    Action::ReplacePod { name: name(ordinal), uid: format!("uid-{ordinal}") }
}

#[rstest]
#[case::the_last_standby_first(&[false, false, false], replaces(2))]
#[case::then_the_other(&[false, false, true], replaces(1))]
#[case::then_another_primary(&[false, true, true], Action::SwitchOver { from: name(0), to: name(1) })]
#[case::former_primary_last(&[true, false, true], replaces(1))]
#[case::nothing_is_left(&[true, true, true], Action::Done)]
fn pods_are_replaced_in_order(#[case] current: &[bool], #[case] expected: Action) {
    assert_eq!(Database::new(current).next(), expected);
}

#[test]
fn standby_that_commits_wait_for_is_replaced_after_one_that_they_do_not_wait_for() {
    let mut database = Database::new(&[false, false, false]);
    database.synchronous = Some(vec![name(2)]);
    assert_eq!(database.next(), replaces(1));
}

#[test]
fn only_a_synchronous_standby_becomes_the_primary_if_commits_wait_for_one() {
    let mut database = Database::new(&[false, true, true]);
    database.synchronous = Some(vec![name(2)]);
    assert_eq!(database.next(), Action::SwitchOver { from: name(0), to: name(2) });
    database.synchronous = Some(Vec::new());
    assert_eq!(database.next(), Action::Wait(Obstacle::NoCandidate));
    let without_record = Commit::new(None, StreamingMode::Synchronous);
    assert_eq!(without_record, Commit::new(Some(Vec::new()), StreamingMode::Synchronous));
}

#[rstest]
#[case::not_ready(|it: &mut Server| it.health = Health::NotReady, "pod orders-2 is not ready")]
#[case::not_streaming(
    |it: &mut Server| it.replication = Replication::None,
    "the standby in pod orders-2 does not stream from the primary"
)]
#[case::without_a_role(|it: &mut Server| it.role = None, "the standby in pod orders-2 does not stream from the primary")]
#[case::another_timeline(
    |it: &mut Server| it.timeline = Some(TIMELINE - 1),
    "the standby in pod orders-2 is not on the timeline of the primary"
)]
#[case::lag(
    |it: &mut Server| it.position = Some(END - MAX_LAG - 1),
    "the standby in pod orders-2 lacks 1048577 bytes of the primary's WAL"
)]
fn no_pod_is_replaced_before_every_standby_streams(#[case] change: fn(&mut Server), #[case] text: &str) {
    for current in [false, true] {
        let database = Database::new(&[false, false, current]).with(2, change);
        let Action::Wait(obstacle) = database.next() else { panic!("{:?}", database.next()) };
        assert_eq!(obstacle.to_string(), text);
        assert_eq!(obstacles(&database.observed()), [obstacle]);
    }
}

#[test]
fn pod_of_the_template_that_cannot_start_ends_it_with_the_primary_untouched() {
    let broken = |it: &mut Server| it.health = Health::Broken("ImagePullBackOff".to_owned());
    let expected = Obstacle::Broken { pod: name(2), reason: "ImagePullBackOff".to_owned() };
    assert_eq!(Database::new(&[false, false, true]).with(2, broken).next(), Action::Stuck(expected));
    // One of the earlier template has nothing to lose.
    assert_eq!(Database::new(&[false, false, false]).with(1, broken).next(), replaces(1));
}

#[test]
fn standby_that_does_not_come_up_is_replaced_once_the_template_was_put_back() {
    let mut database = Database::new(&[true, true, false]).with(2, |it| it.health = Health::NotReady);
    assert_eq!(database.next(), Action::Wait(Obstacle::NotReady { pod: name(2) }));
    database.if_unfit = IfUnfit::Replace;
    assert_eq!(database.next(), replaces(2));
    // Not as long as another one does not stream either.
    database.server(1).health = Health::NotReady;
    assert_eq!(database.next(), Action::Wait(Obstacle::NotReady { pod: name(1) }));
}

#[test]
fn pod_that_does_not_exist_or_is_ending_is_waited_for() {
    let mut database = Database::new(&[false, false, false]);
    database.members[2].state = MemberState::Ending;
    assert_eq!(database.next(), Action::Wait(Obstacle::Ending { pod: name(2) }));
    database.members[2].state = MemberState::Missing;
    assert_eq!(database.next(), Action::Wait(Obstacle::Missing { pod: name(2) }));
    database.if_unfit = IfUnfit::Replace;
    assert!(matches!(database.next(), Action::Wait(_)));
}

#[test]
fn pod_is_not_replaced_before_it_is_known_of_which_template_it_is() {
    let database = Database::new(&[false, false, true]).with(2, |it| it.template = Template::Unknown);
    assert_eq!(database.next(), Action::Wait(Obstacle::TemplateNotSeen { pod: name(2) }));
}

#[test]
fn nothing_happens_without_exactly_one_primary_that_is_known() {
    let without = Database::new(&[false, false]).with(0, |it| it.role = None);
    assert_eq!(without.next(), Action::Wait(Obstacle::NoPrimary));
    let two = Database::new(&[false, false]).with(1, |it| it.role = Some(MemberRole::Primary));
    assert_eq!(
        two.next(),
        Action::Wait(Obstacle::SeveralPrimaries { pods: "orders-0, orders-1".to_owned() })
    );
    let down = Database::new(&[false, false]).with(0, |it| it.health = Health::NotReady);
    assert_eq!(down.next(), Action::Wait(Obstacle::PrimaryNotReady { pod: name(0) }));
    let mut taken = Database::new(&[false, false]);
    taken.lock.holder = Some(name(1));
    assert_eq!(taken.next(), Action::Wait(Obstacle::WithoutLock { pod: name(0) }));
    let unknown = Database::new(&[false, false]).with(0, |it| it.timeline = None);
    assert_eq!(unknown.next(), Action::Wait(Obstacle::PrimaryUnknown { pod: name(0) }));
}

#[test]
fn switchover_that_patroni_was_asked_for_is_waited_for_and_a_pause_too() {
    let mut database = Database::new(&[false, true, true]);
    let record = SwitchoverRecord::new("orders-0", "orders-1");
    database.switchover = Some(record.clone());
    assert_eq!(database.next(), Action::Wait(Obstacle::SwitchoverPending(record)));
    database.switchover = None;
    database.patroni = Patroni::Paused;
    assert_eq!(database.next(), Action::Wait(Obstacle::Paused));
}

#[test]
fn failover_meanwhile_is_taken_into_account() {
    // The primary has failed over to a standby that was not replaced yet, and is one itself now.
    let mut database = Database::new(&[false, false, true]);
    *database.server(0) = server(0, MemberRole::Standby, Template::Earlier);
    *database.server(1) = server(1, MemberRole::Primary, Template::Earlier);
    database.lock.holder = Some(name(1));
    assert!(!is_primary_current(&database.observed()));
    assert_eq!(database.next(), replaces(0));
    // To one that was.
    *database.server(1) = server(1, MemberRole::Standby, Template::Earlier);
    *database.server(2) = server(2, MemberRole::Primary, Template::Current);
    database.lock.holder = Some(name(2));
    assert!(is_primary_current(&database.observed()));
    assert_eq!(database.next(), replaces(1));
}

#[test]
fn every_pod_is_replaced_once_and_one_switchover_is_enough() {
    for servers in 2..=5 {
        let mut database = Database::new(&vec![false; servers]);
        let (mut replaced, mut switchovers) = (Vec::new(), 0);
        loop {
            match database.next() {
                Action::ReplacePod { name: pod, .. } => {
                    let ordinal = database.members.iter().position(|member| member.pod == pod).unwrap();
                    *database.server(ordinal) = server(ordinal, MemberRole::Standby, Template::Current);
                    replaced.push(ordinal);
                }
                Action::SwitchOver { from, to } => {
                    assert_eq!(replaced.len(), servers - 1, "the old primary is the last");
                    database.lock.holder = Some(to.clone());
                    for (pod, role) in [(from, MemberRole::Standby), (to, MemberRole::Primary)] {
                        let ordinal = database.members.iter().position(|member| member.pod == pod).unwrap();
                        let template = database.server(ordinal).template;
                        *database.server(ordinal) = server(ordinal, role, template);
                    }
                    switchovers += 1;
                }
                Action::Done => break,
                other => panic!("{other:?}"),
            }
        }
        replaced.sort_unstable();
        assert_eq!((replaced, switchovers), ((0..servers).collect::<Vec<_>>(), 1));
    }
}

fn any_state(ordinal: usize) -> impl Strategy<Value = MemberState> {
    let role = prop_oneof![
        4 => Just(Some(MemberRole::Standby)),
        2 => Just(Some(MemberRole::Primary)),
        1 => Just(None),
    ];
    let template = prop_oneof![
        8 => Just(Template::Current),
        8 => Just(Template::Earlier),
        1 => Just(Template::Unknown),
    ];
    let health = prop_oneof![
        6 => Just(Health::Ready),
        1 => Just(Health::NotReady),
        1 => Just(Health::Broken("it ends".to_owned())),
    ];
    let replication = prop_oneof![5 => Just(Replication::Streaming), 1 => Just(Replication::None)];
    let timeline = prop_oneof![8 => Just(Some(TIMELINE)), 1 => Just(Some(TIMELINE - 1)), 1 => Just(None)];
    let position = prop_oneof![8 => Just(Some(END)), 1 => Just(Some(0)), 1 => Just(None)];
    let server = (role, template, health, replication, timeline, position);
    let server = server.prop_map(move |(role, template, health, replication, timeline, position)| {
        let uid = format!("uid-{ordinal}");
        MemberState::Exists(Server { uid, template, role, health, replication, timeline, position })
    });
    prop_oneof![20 => server, 1 => Just(MemberState::Missing), 1 => Just(MemberState::Ending)]
}

fn any_database() -> impl Strategy<Value = Database> {
    let member = |ordinal| any_state(ordinal).prop_map(move |state| Member { pod: name(ordinal), state });
    let members = [member(0), member(1), member(2)];
    let holder = prop_oneof![9 => (0..3_usize).prop_map(|it| Some(name(it))), 1 => Just(None)];
    let lock = holder.prop_map(lock);
    let synchronous = prop_oneof![
        Just(None),
        proptest::sample::subsequence(vec![name(0), name(1), name(2)], 0..=3).prop_map(Some),
    ];
    let switchover =
        prop_oneof![9 => Just(None), 1 => Just(Some(SwitchoverRecord::new("orders-0", "orders-1")))];
    let patroni = prop_oneof![9 => Just(Patroni::Active), 1 => Just(Patroni::Paused)];
    let if_unfit = prop_oneof![Just(IfUnfit::Wait), Just(IfUnfit::Replace)];
    (members, lock, synchronous, switchover, patroni, if_unfit).prop_map(
        |(members, lock, synchronous, switchover, patroni, if_unfit)| Database {
            members: members.into(),
            lock,
            synchronous,
            switchover,
            patroni,
            if_unfit,
        },
    )
}

/// Whether a server streams on this timeline without lag.
fn streams(server: &Server, timeline: Option<u32>) -> bool {
    server.is_standby()
        && server.health == Health::Ready
        && server.replication == Replication::Streaming
        && server.timeline == timeline
        && server.position.is_some_and(|position| END - position <= MAX_LAG)
}

fn servers(database: &Database) -> Vec<(&str, Option<&Server>)> {
    let members = database.members.iter();
    let servers = members.map(|member| match &member.state {
        MemberState::Exists(server) => (member.pod.as_str(), Some(server)),
        MemberState::Missing | MemberState::Ending => (member.pod.as_str(), None),
    });
    servers.collect()
}

/// The timeline of the first primary.
fn timeline(database: &Database) -> Option<u32> {
    let primary = servers(database).into_iter().find_map(|(_, server)| server.filter(|it| it.is_primary()));
    primary.and_then(|primary| primary.timeline)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn replaced_pod_is_that_of_a_standby_and_every_other_one_streams(database in any_database()) {
        if let Action::ReplacePod { name, uid } = database.next() {
            let mut primaries = 0;
            for (pod, server) in servers(&database) {
                let server = server.expect("no other pod is absent");
                primaries += usize::from(server.is_primary());
                if pod == name {
                    prop_assert_eq!(&server.uid, &uid);
                    prop_assert_eq!(server.template, Template::Earlier);
                    prop_assert!(!server.is_primary());
                    prop_assert!(database.lock.holder.as_ref() != Some(&name));
                } else {
                    let leads = server.is_primary() && server.health == Health::Ready;
                    prop_assert!(leads || streams(server, timeline(&database)));
                }
            }
            prop_assert_eq!(primaries, 1);
            prop_assert!(database.switchover.is_none() && database.patroni == Patroni::Active);
        }
    }

    #[test]
    fn next_primary_streams_is_of_the_template_and_has_every_commit(database in any_database()) {
        if let Action::SwitchOver { from, to } = database.next() {
            for (pod, server) in servers(&database) {
                let server = server.expect("no pod is absent");
                if pod == from {
                    prop_assert!(server.is_primary() && server.template == Template::Earlier);
                } else {
                    prop_assert!(streams(server, timeline(&database)) && server.template == Template::Current);
                }
            }
            prop_assert!(database.synchronous.as_ref().is_none_or(|all| all.contains(&to)));
            prop_assert!(database.switchover.is_none() && database.patroni == Patroni::Active);
        }
    }

    #[test]
    fn rollout_is_done_only_if_every_pod_is_of_the_template_and_streams(database in any_database()) {
        let is_done = |server: &Server| {
            let leads = server.is_primary() && server.health == Health::Ready;
            server.template == Template::Current && (leads || streams(server, timeline(&database)))
        };
        let all = servers(&database).iter().all(|(_, server)| server.is_some_and(is_done));
        match database.next() {
            Action::Done => prop_assert!(all),
            Action::ReplacePod { .. } | Action::SwitchOver { .. } | Action::Stuck(_) => prop_assert!(!all),
            Action::Wait(_) => {}
        }
    }

    #[test]
    fn obstacles_are_named_whenever_something_is_waited_for(database in any_database()) {
        if let Action::Wait(obstacle) = database.next()
            && obstacle != Obstacle::NoCandidate
        {
            prop_assert!(obstacles(&database.observed()).contains(&obstacle));
        }
    }
}
