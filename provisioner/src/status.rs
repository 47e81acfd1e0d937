//! The status of a database: a pure function of what was observed.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use pgops_api::condition;
use pgops_api::postgres::{CONDITION_PROVISIONED, CONDITION_READY, PostgresPhase, PostgresStatus};
use pgops_api::{Condition, Postgres, names};

use crate::build_error::BuildError;
use crate::deletion::DeletionBlocker;
use crate::image::ImageChoice;

/// Condition: the children match the spec; if not, why.
pub const CONDITION_PROVISIONING_STARTED: &str = "ProvisioningStarted";
/// Condition: the object was deleted and is kept, and why.
pub const CONDITION_DELETION_BLOCKED: &str = "DeletionBlocked";
/// Condition: the catalog names another image than the database has, and keeps.
pub const CONDITION_IMAGE_DIFFERS: &str = "ImageDiffersFromCatalog";
const CONDITION_REPLICA_READY: &str = "ReplicaReady";
const CONDITION_ACCEPTING: &str = "AcceptingConnection";
const CONDITION_HALTED: &str = "Halted";

/// What was observed of a database.
pub struct Observed<'a> {
    /// The workload, if it is the database's own.
    pub workload: Option<&'a StatefulSet>,
    /// The image of the workload, if the children were built just now.
    pub image: Option<&'a ImageChoice>,
    /// Why the children do not match the spec.
    pub build_error: Option<&'a BuildError>,
    /// Why the object is kept although it was deleted.
    pub blocker: Option<&'a DeletionBlocker>,
    pub now: Time,
}

/// The servers of a workload.
#[derive(Clone, Copy)]
struct Servers {
    wanted: i32,
    ready: i32,
    remaining: i32,
    /// Whether the counts are of the current workload.
    current: bool,
}

impl Servers {
    fn of(workload: &StatefulSet) -> Self {
        let status = workload.status.as_ref();
        Self {
            wanted: workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
            remaining: status.map_or(0, |status| status.replicas),
            current: status.and_then(|status| status.observed_generation) >= workload.metadata.generation,
        }
    }
}

/// The status of a database. Conditions that are not the provisioner's stay unchanged.
pub fn status(database: &Postgres, observed: &Observed) -> PostgresStatus {
    let mut status = database.status.clone().unwrap_or_default();
    let servers = observed.workload.map(Servers::of);
    let ready = match servers {
        None => false,
        // Just changed and not counted yet: the previous status is the best answer.
        Some(servers) if !servers.current => {
            condition::find(&status.conditions, CONDITION_READY).is_some_and(Condition::is_true)
        }
        Some(servers) => servers.wanted > 0 && servers.ready >= servers.wanted,
    };
    let halted = database.spec.halted.unwrap_or_default()
        && servers.is_none_or(|servers| servers.wanted == 0 && servers.remaining == 0);
    status.phase = Some(match (halted, ready, database.was_initialized()) {
        (true, _, _) => PostgresPhase::Halted,
        (_, true, _) => PostgresPhase::Ready,
        (_, _, true) => PostgresPhase::NotReady,
        (_, _, false) => PostgresPhase::Provisioning,
    });
    status.observed_generation = database.metadata.generation;

    let mut writer = Writer { conditions: &mut status.conditions, database, now: &observed.now };
    writer.provisioning_started(observed);
    writer.image(observed.image);
    writer.readiness(observed, servers, ready);
    if halted {
        writer.set(CONDITION_HALTED, true, "Halted", "stopped because spec.halted is true; the data is kept");
    } else {
        writer.clear(CONDITION_HALTED);
    }
    match observed.blocker {
        Some(blocker) => {
            writer.set(CONDITION_DELETION_BLOCKED, true, blocker.reason(), &blocker.to_string());
        }
        None => writer.clear(CONDITION_DELETION_BLOCKED),
    }
    status
}

struct Writer<'a> {
    conditions: &'a mut Vec<Condition>,
    database: &'a Postgres,
    now: &'a Time,
}

impl Writer<'_> {
    fn set(&mut self, type_: &str, holds: bool, reason: &str, message: &str) {
        let status = if holds { "True" } else { "False" };
        let mut new = Condition::new(type_, status, reason, message, self.now.clone());
        new.observed_generation = self.database.metadata.generation;
        condition::set(self.conditions, new);
    }

    fn clear(&mut self, type_: &str) {
        self.conditions.retain(|condition| condition.type_ != type_);
    }

    /// While the database is paused nothing is built, so the condition stays unchanged.
    fn provisioning_started(&mut self, observed: &Observed) {
        match (observed.build_error, observed.workload) {
            (Some(error), _) => {
                self.set(CONDITION_PROVISIONING_STARTED, false, error.reason(), &error.to_string());
            }
            (None, Some(_)) if self.database.paused().is_none() => {
                let message = "all objects of the database match its spec";
                self.set(CONDITION_PROVISIONING_STARTED, true, "ProvisioningStarted", message);
            }
            _ => {}
        }
    }

    /// While nothing is built the condition stays unchanged.
    fn image(&mut self, image: Option<&ImageChoice>) {
        match image.map(ImageChoice::difference) {
            Some(Some(difference)) => self.set(CONDITION_IMAGE_DIFFERS, true, "CatalogChanged", &difference),
            Some(None) => self.clear(CONDITION_IMAGE_DIFFERS),
            None => {}
        }
    }

    /// Readiness is a real `SELECT 1`, which the instance in the pod runs for the kubelet.
    fn readiness(&mut self, observed: &Observed, servers: Option<Servers>, ready: bool) {
        let (reason, message) = match (observed.build_error, servers) {
            _ if ready => ("Ready", "the server answers queries".to_owned()),
            (Some(error), None) => (error.reason(), error.to_string()),
            (None, None) => ("NotBuilt", "the StatefulSet does not exist".to_owned()),
            (_, Some(servers)) if servers.wanted == 0 => {
                ("Stopped", "the StatefulSet is scaled to 0".to_owned())
            }
            (_, Some(servers)) => ("NotReady", self.not_ready(servers)),
        };
        for type_ in [CONDITION_REPLICA_READY, CONDITION_ACCEPTING, CONDITION_READY] {
            self.set(type_, ready, reason, &message);
        }
        if ready && condition::find(self.conditions, CONDITION_PROVISIONED).is_none() {
            self.set(CONDITION_PROVISIONED, true, "Provisioned", "the server has answered its first query");
        }
    }

    fn not_ready(&self, servers: Servers) -> String {
        format!(
            "{} of {} servers answer; `kubectl -n {} logs {} -c {}` shows what the server waits for, `kubectl describe \
             pod` why it does not run",
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
    use crate::fixtures::{database, version, workload};
    use crate::image::CatalogImage;
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
        build_error: Option<&BuildError>,
        second: i64,
    ) {
        let observed = Observed { workload, image: None, build_error, blocker: None, now: at(second) };
        database.status = Some(status(database, &observed));
    }

    fn condition(database: &Postgres, type_: &str) -> Option<(String, i64)> {
        condition::find(database.conditions(), type_)
            .map(|found| (found.status.clone(), found.last_transition_time.0.as_second()))
    }

    #[test]
    fn database_is_provisioning_until_its_first_answer() {
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
    fn paused_database_keeps_its_pause_and_has_a_phase(
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
    fn changed_workload_keeps_the_previous_readiness() {
        let mut fresh = database(json!({}));
        observe(&mut fresh, Some(&built(1, 1, 1)), None, 1);
        assert_eq!(fresh.phase(), PostgresPhase::Provisioning);
        observe(&mut fresh, Some(&built(1, 1, 2)), None, 2);
        observe(&mut fresh, Some(&built(1, 1, 1)), None, 3);
        assert_eq!(fresh.phase(), PostgresPhase::Ready);
    }

    #[test]
    fn build_error_is_reported_and_does_not_change_readiness() {
        let error = BuildError::UnknownVersion("17.99".into());
        let mut fresh = database(json!({}));
        observe(&mut fresh, None, Some(&error), 1);
        assert_eq!(fresh.phase(), PostgresPhase::Provisioning);
        let ready = condition::find(fresh.conditions(), CONDITION_READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("UnknownVersion")));

        let mut serving = database(json!({}));
        observe(&mut serving, Some(&built(1, 1, 2)), None, 1);
        observe(&mut serving, Some(&built(1, 1, 2)), Some(&error), 2);
        assert_eq!(serving.phase(), PostgresPhase::Ready);
        let started = condition::find(serving.conditions(), CONDITION_PROVISIONING_STARTED).unwrap();
        assert!(!started.is_true() && started.message.as_ref().unwrap().contains("17.99"));
    }

    #[test]
    fn kept_image_is_reported_until_it_is_the_catalogs() {
        let mut database = database(json!({}));
        let mut observe_image = |image: Option<&str>| {
            let image = image.map(|catalog| ImageChoice {
                image: "pg:1".into(),
                kept_instead_of: (catalog != "pg:1")
                    .then(|| CatalogImage { version: "13.16".into(), image: catalog.into() }),
            });
            let workload = built(1, 1, 2);
            let observed = Observed {
                workload: Some(&workload),
                image: image.as_ref(),
                build_error: None,
                blocker: None,
                now: at(1),
            };
            database.status = Some(status(&database, &observed));
            let found = condition::find(database.conditions(), CONDITION_IMAGE_DIFFERS);
            found.and_then(|found| found.message.clone())
        };
        assert_eq!(observe_image(Some("pg:1")), None);
        let message = observe_image(Some("pg:2")).unwrap();
        assert!(message.contains("now has image pg:2, and the database keeps pg:1"), "{message}");
        assert_eq!(observe_image(None), Some(message), "it is paused");
        assert_eq!(observe_image(Some("pg:1")), None);
    }

    #[test]
    fn database_is_halted_only_without_servers() {
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
    fn status_is_stable_when_nothing_changes() {
        let mut database = database(json!({}));
        observe(&mut database, Some(&built(1, 1, 2)), None, 1);
        let first = database.status.clone();
        observe(&mut database, Some(&built(1, 1, 2)), None, 9);
        assert_eq!(database.status, first);
    }
}
