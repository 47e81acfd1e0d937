//! What is said of a database: a pure function of what is seen.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use pgops_api::condition;
use pgops_api::postgres::{CONDITION_PROVISIONED, CONDITION_READY, PostgresPhase, PostgresStatus};
use pgops_api::{Condition, Postgres, names};

use crate::deletion::Block;
use crate::design::Problem;

/// Condition: the children stand as the spec asks for; if not, it says why.
pub const CONDITION_PROVISIONING_STARTED: &str = "ProvisioningStarted";
/// Condition: the object was deleted and stays, and why.
pub const CONDITION_DELETION_BLOCKED: &str = "DeletionBlocked";
const CONDITION_REPLICA_READY: &str = "ReplicaReady";
const CONDITION_ACCEPTING: &str = "AcceptingConnection";
const CONDITION_HALTED: &str = "Halted";

/// What is seen of a database.
pub struct Observed<'a> {
    /// The workload, if it is the database's own.
    pub workload: Option<&'a StatefulSet>,
    /// Why the children are not built as the spec asks for.
    pub problem: Option<&'a Problem>,
    /// Why the object stays although it was deleted.
    pub blocked: Option<&'a Block>,
    /// Now.
    pub now: Time,
}

/// The servers of a workload.
#[derive(Clone, Copy)]
struct Servers {
    wanted: i32,
    ready: i32,
    left: i32,
    /// Whether the counts speak of the workload as it is now.
    current: bool,
}

impl Servers {
    fn of(workload: &StatefulSet) -> Self {
        let status = workload.status.as_ref();
        Self {
            wanted: workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
            left: status.map_or(0, |status| status.replicas),
            current: status.and_then(|status| status.observed_generation) >= workload.metadata.generation,
        }
    }
}

/// The status of a database. Conditions that are not the provisioner's are kept as they are.
pub fn status(database: &Postgres, observed: &Observed) -> PostgresStatus {
    let mut status = database.status.clone().unwrap_or_default();
    let servers = observed.workload.map(Servers::of);
    let ready = match servers {
        None => false,
        // Just changed, not yet counted: what was true a moment ago is the best that can be said.
        Some(servers) if !servers.current => {
            condition::find(&status.conditions, CONDITION_READY).is_some_and(Condition::is_true)
        }
        Some(servers) => servers.wanted > 0 && servers.ready >= servers.wanted,
    };
    let halted = database.spec.halted.unwrap_or_default()
        && servers.is_none_or(|servers| servers.wanted == 0 && servers.left == 0);
    status.phase = Some(match (halted, ready, database.was_initialized()) {
        (true, _, _) => PostgresPhase::Halted,
        (_, true, _) => PostgresPhase::Ready,
        (_, _, true) => PostgresPhase::NotReady,
        (_, _, false) => PostgresPhase::Provisioning,
    });
    status.observed_generation = database.metadata.generation;

    let mut write = Writer { conditions: &mut status.conditions, database, now: &observed.now };
    write.provisioning_started(observed);
    write.readiness(observed, servers, ready);
    if halted {
        write.set(CONDITION_HALTED, true, "Halted", "stopped as spec.halted asks; the data is there");
    } else {
        write.clear(CONDITION_HALTED);
    }
    match observed.blocked {
        Some(block) => write.set(CONDITION_DELETION_BLOCKED, true, block.reason(), &block.to_string()),
        None => write.clear(CONDITION_DELETION_BLOCKED),
    }
    status
}

struct Writer<'a> {
    conditions: &'a mut Vec<Condition>,
    database: &'a Postgres,
    now: &'a Time,
}

impl Writer<'_> {
    fn set(&mut self, type_: &str, stands: bool, reason: &str, message: &str) {
        let status = if stands { "True" } else { "False" };
        let mut new = Condition::new(type_, status, reason, message, self.now.clone());
        new.observed_generation = self.database.metadata.generation;
        condition::set(self.conditions, new);
    }

    fn clear(&mut self, type_: &str) {
        self.conditions.retain(|condition| condition.type_ != type_);
    }

    /// While the database is paused nothing is built, so nothing is said of it either.
    fn provisioning_started(&mut self, observed: &Observed) {
        match (observed.problem, observed.workload) {
            (Some(problem), _) => {
                self.set(CONDITION_PROVISIONING_STARTED, false, problem.reason(), &problem.to_string());
            }
            (None, Some(_)) if self.database.paused().is_none() => {
                let message = "all objects of the database are as its spec asks for";
                self.set(CONDITION_PROVISIONING_STARTED, true, "ProvisioningStarted", message);
            }
            _ => {}
        }
    }

    /// Readiness is a real `SELECT 1`, which the instance in the pod makes for the kubelet.
    fn readiness(&mut self, observed: &Observed, servers: Option<Servers>, ready: bool) {
        let (reason, message) = match (observed.problem, servers) {
            _ if ready => ("Ready", "the server answers queries".to_owned()),
            (Some(problem), None) => (problem.reason(), problem.to_string()),
            (None, None) => ("NotBuilt", "there is no StatefulSet".to_owned()),
            (_, Some(servers)) if servers.wanted == 0 => {
                ("Stopped", "the StatefulSet is scaled to 0".to_owned())
            }
            (_, Some(servers)) => ("NotReady", self.not_ready(servers)),
        };
        for type_ in [CONDITION_REPLICA_READY, CONDITION_ACCEPTING, CONDITION_READY] {
            self.set(type_, ready, reason, &message);
        }
        if ready && condition::find(self.conditions, CONDITION_PROVISIONED).is_none() {
            self.set(CONDITION_PROVISIONED, true, "Provisioned", "the first server has answered");
        }
    }

    fn not_ready(&self, servers: Servers) -> String {
        format!(
            "{} of {} servers answer; `kubectl -n {} logs {} -c {}` says what it waits for, or `kubectl describe pod` \
             why it does not run",
            servers.ready,
            servers.wanted,
            self.database.namespace().unwrap_or_default(),
            names::pod(&self.database.name_any(), 0),
            names::CONTAINER_POSTGRES,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::tests::{database, version, workload};
    use k8s_openapi::api::apps::v1::StatefulSetStatus;
    use k8s_openapi::jiff::Timestamp;
    use pgops_api::postgres::CONDITION_PAUSED;
    use rstest::rstest;
    use serde_json::json;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn built(wanted: i32, ready: i32, observed_generation: i64) -> StatefulSet {
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.generation = Some(2);
        workload.spec.as_mut().unwrap().replicas = Some(wanted);
        workload.status = Some(StatefulSetStatus {
            replicas: ready,
            ready_replicas: Some(ready),
            observed_generation: Some(observed_generation),
            ..StatefulSetStatus::default()
        });
        workload
    }

    fn observe(
        database: &mut Postgres,
        workload: Option<&StatefulSet>,
        problem: Option<&Problem>,
        second: i64,
    ) {
        let observed = Observed { workload, problem, blocked: None, now: at(second) };
        database.status = Some(status(database, &observed));
    }

    fn condition(database: &Postgres, type_: &str) -> Option<(String, i64)> {
        condition::find(database.conditions(), type_)
            .map(|found| (found.status.clone(), found.last_transition_time.0.as_second()))
    }

    #[test]
    fn is_provisioning_until_the_first_answer_and_provisioned_ever_after() {
        let mut database = database(json!({}));
        observe(&mut database, Some(&built(1, 0, 2)), None, 1);
        assert_eq!(database.phase(), PostgresPhase::Provisioning);
        assert!(!database.was_initialized());
        observe(&mut database, Some(&built(1, 1, 2)), None, 2);
        assert_eq!(database.phase(), PostgresPhase::Ready);
        observe(&mut database, Some(&built(1, 0, 2)), None, 3);
        assert_eq!(database.phase(), PostgresPhase::NotReady);
        assert_eq!(condition(&database, CONDITION_READY), Some(("False".to_owned(), 3)));
        assert_eq!(condition(&database, CONDITION_PROVISIONED), Some(("True".to_owned(), 2)));
        observe(&mut database, None, None, 4);
        assert_eq!(database.phase(), PostgresPhase::NotReady);
    }

    #[rstest]
    #[case::scaled_down_by_an_upgrade(0, 0, PostgresPhase::NotReady)]
    #[case::its_pod_does_not_answer(1, 0, PostgresPhase::NotReady)]
    #[case::it_answers(1, 1, PostgresPhase::Ready)]
    fn a_paused_database_keeps_its_pause_and_shows_how_it_is(
        #[case] wanted: i32,
        #[case] ready: i32,
        #[case] expected: PostgresPhase,
    ) {
        let mut database = database(json!({}));
        observe(&mut database, Some(&built(1, 1, 2)), None, 1);
        let pause = Condition::new(CONDITION_PAUSED, "True", "Paused", "paused by r (uid 1)", at(2));
        let pause = Condition { observed_generation: Some(7), ..pause };
        condition::set(&mut database.status.as_mut().unwrap().conditions, pause.clone());
        observe(&mut database, Some(&built(wanted, ready, 2)), None, 3);
        assert_eq!(database.phase(), expected);
        assert_eq!(database.paused(), Some(&pause));
    }

    #[test]
    fn a_workload_that_was_just_changed_is_as_it_was() {
        let mut fresh = database(json!({}));
        observe(&mut fresh, Some(&built(1, 1, 1)), None, 1);
        assert_eq!(fresh.phase(), PostgresPhase::Provisioning);
        observe(&mut fresh, Some(&built(1, 1, 2)), None, 2);
        observe(&mut fresh, Some(&built(1, 1, 1)), None, 3);
        assert_eq!(fresh.phase(), PostgresPhase::Ready);
    }

    #[test]
    fn a_problem_is_told_and_does_not_deny_that_the_server_answers() {
        let problem = Problem::UnknownVersion("17.99".into());
        let mut fresh = database(json!({}));
        observe(&mut fresh, None, Some(&problem), 1);
        assert_eq!(fresh.phase(), PostgresPhase::Provisioning);
        let ready = condition::find(fresh.conditions(), CONDITION_READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("UnknownVersion")));

        let mut serving = database(json!({}));
        observe(&mut serving, Some(&built(1, 1, 2)), None, 1);
        observe(&mut serving, Some(&built(1, 1, 2)), Some(&problem), 2);
        assert_eq!(serving.phase(), PostgresPhase::Ready);
        let started = condition::find(serving.conditions(), CONDITION_PROVISIONING_STARTED).unwrap();
        assert!(!started.is_true() && started.message.as_ref().unwrap().contains("17.99"));
    }

    #[test]
    fn is_halted_only_when_its_servers_are_gone() {
        let mut database = database(json!({}));
        observe(&mut database, Some(&built(1, 1, 2)), None, 1);
        database.spec.halted = Some(true);
        observe(&mut database, Some(&built(0, 1, 2)), None, 2);
        assert_eq!(database.phase(), PostgresPhase::NotReady);
        observe(&mut database, Some(&built(0, 0, 2)), None, 3);
        assert_eq!(database.phase(), PostgresPhase::Halted);
        database.spec.halted = Some(false);
        observe(&mut database, Some(&built(1, 1, 2)), None, 4);
        assert_eq!((database.phase(), condition(&database, CONDITION_HALTED)), (PostgresPhase::Ready, None));
    }

    #[test]
    fn says_the_same_twice_when_nothing_changes() {
        let mut database = database(json!({}));
        observe(&mut database, Some(&built(1, 1, 2)), None, 1);
        let first = database.status.clone();
        observe(&mut database, Some(&built(1, 1, 2)), None, 9);
        assert_eq!(database.status, first);
    }
}
