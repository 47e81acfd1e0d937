mod certificates;
mod next_pod;
mod standbys;

use super::*;
use crate::build_error::BuildError;
use crate::condition_types::{
    CONDITION_DEGRADED, CONDITION_HALTED, CONDITION_IMAGE_DIFFERS, CONDITION_PASSWORD_MISMATCH,
    CONDITION_PROVISIONING_STARTED, CONDITION_RESTART_PENDING, CONDITION_SETTINGS_REJECTED,
    CONDITION_STORAGE_RESIZING,
};
use crate::expansion::{self, Expansion};
use crate::fixtures::{claim, database, version, workload};
use crate::image::{CatalogImage, ImageChoice};
use crate::observation::{AuthSecret, PodLookup, Restart, ServerPod, ServerReport};
use crate::settings_check::SettingsCheck;
use crate::unready::Unready;
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use pgops_api::instance_status::{InlineSettings, PasswordState};
use pgops_api::postgres::{CONDITION_AUTH_SECRET_MISSING, CONDITION_PAUSED, CONDITION_PROVISIONED};
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
    let running = Observation::default();
    let observed =
        Observed { workload, image: None, build_error, blocker: None, running: &running, now: at(second) };
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

/// As while no controller of `StatefulSets` runs.
#[test]
fn pod_that_is_not_ready_counts_although_the_statefulset_says_otherwise() {
    let mut database = database(json!({}));
    observe_running(&mut database, true, &Observation::default());
    assert_eq!(database.phase(), PostgresPhase::Ready);
    let pod = |ready_since| PodLookup::Found(ServerPod { ready_since, ..ServerPod::default() });
    for (server_pod, expected) in [
        (pod(None), PostgresPhase::NotReady),
        (pod(Some(at(1).0)), PostgresPhase::Ready),
        (PodLookup::Missing, PostgresPhase::NotReady),
        (PodLookup::Unknown, PostgresPhase::Ready),
    ] {
        observe_running(&mut database, true, &Observation { server_pod, ..Observation::default() });
        assert_eq!(database.phase(), expected);
    }
    // Its label of the role is missing.
    let unready = Unready::not_selected(&k8s_openapi::api::core::v1::Pod::default());
    let hidden =
        Observation { server_pod: pod(Some(at(1).0)), unready: unready.clone(), ..Observation::default() };
    observe_running(&mut database, true, &hidden);
    assert_eq!(database.phase(), PostgresPhase::NotReady);
    let ready = condition::find(database.conditions(), CONDITION_READY).unwrap();
    assert_eq!(ready.message, unready.map(|unready| unready.message));
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
            running: &Observation::default(),
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
fn pod_that_keeps_a_database_from_being_halted_is_told() {
    let mut database = database(json!({ "halted": true }));
    let workload = built(0, 1, 2);
    let mut reason_with = |reason: &'static str| {
        let unready = Some(Unready { reason, message: "node-1 does not report".to_owned() });
        let running = Observation { unready, ..Observation::default() };
        let observed = Observed {
            workload: Some(&workload),
            image: None,
            build_error: None,
            blocker: None,
            running: &running,
            now: at(1),
        };
        database.status = Some(status(&database, &observed));
        told(&database, CONDITION_READY).unwrap()
    };
    assert_eq!(reason_with("NodeNotReady").1, "NodeNotReady");
    let (_, reason, message) = reason_with("PodNotEnding");
    assert_eq!((reason.as_str(), message.as_str()), ("PodNotEnding", "node-1 does not report"));
    assert_eq!(reason_with("ContainerNotStarted").1, "Stopped", "it need not start");
}

#[test]
fn status_is_stable_when_nothing_changes() {
    let mut database = database(json!({}));
    observe(&mut database, Some(&built(1, 1, 2)), None, 1);
    let first = database.status.clone();
    observe(&mut database, Some(&built(1, 1, 2)), None, 9);
    assert_eq!(database.status, first);
}

/// The status of a database with a server, after each of these observations.
fn observe_running(database: &mut Postgres, ready: bool, running: &Observation) {
    let workload = built(1, i32::from(ready), 2);
    let workload = Some(&workload);
    let observed = Observed { workload, image: None, build_error: None, blocker: None, running, now: at(1) };
    database.status = Some(status(database, &observed));
}

/// Reason and message of a condition, with its status.
fn told(database: &Postgres, type_: &str) -> Option<(String, String, String)> {
    let found = condition::find(database.conditions(), type_)?.clone();
    Some((found.status, found.reason.unwrap_or_default(), found.message.unwrap_or_default()))
}

#[test]
fn problem_of_the_pod_is_the_reason_of_missing_readiness() {
    let mut database = database(json!({}));
    let unready = Unready { reason: "PodRefused", message: "exceeded quota: compute".to_owned() };
    observe_running(&mut database, false, &Observation { unready: Some(unready), ..Observation::default() });
    let (status, reason, message) = told(&database, CONDITION_READY).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "PodRefused"));
    assert!(message.contains("exceeded quota"), "{message}");
    observe_running(&mut database, true, &Observation::default());
    assert_eq!(told(&database, CONDITION_READY).unwrap().1, "Ready");
}

#[test]
fn pending_restart_says_that_it_deletes_the_data_of_an_ephemeral_database() {
    let pending =
        Observation { restart: Restart::Pending(vec!["env A".to_owned()]), ..Observation::default() };
    for (type_, expected) in [("Ephemeral", true), ("Durable", false)] {
        let mut database = database(json!({ "storageType": type_ }));
        observe_running(&mut database, true, &pending);
        let (_, _, message) = told(&database, CONDITION_RESTART_PENDING).unwrap();
        assert_eq!(message.contains("and deletes all data (storageType Ephemeral)"), expected, "{message}");
    }
}

#[test]
fn pending_restart_names_its_fields_until_the_pod_has_them() {
    let mut database = database(json!({}));
    let pending = |fields: &[&str]| Observation {
        restart: Restart::Pending(fields.iter().map(|&field| field.to_owned()).collect()),
        ..Observation::default()
    };
    observe_running(&mut database, true, &pending(&["env A", "resources"]));
    let (_, _, message) = told(&database, CONDITION_RESTART_PENDING).unwrap();
    assert!(message.contains("env A, resources") && message.contains("delete pod orders-0"), "{message}");
    observe_running(&mut database, true, &Observation::default());
    assert!(told(&database, CONDITION_RESTART_PENDING).is_some(), "it was not looked up");
    observe_running(
        &mut database,
        true,
        &Observation { restart: Restart::NotNeeded, ..Observation::default() },
    );
    assert_eq!(told(&database, CONDITION_RESTART_PENDING), None);
    assert_eq!(told(&database, CONDITION_DEGRADED), None, "it was requested");
}

#[test]
fn expansion_that_is_not_possible_degrades_the_database() {
    let mut database = database(json!({ "storage": { "resources": { "requests": { "storage": "2Gi" } } } }));
    let mut claim = claim("data-orders-0", true);
    claim.status =
        serde_json::from_value(json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } })).unwrap();
    let expansion = Some(expansion::decide("2Gi", &claim, None));
    observe_running(&mut database, true, &Observation { expansion, ..Observation::default() });
    let (status, reason, message) = told(&database, CONDITION_STORAGE_RESIZING).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("False", "ExpansionNotAllowed"), "{message}");
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "ExpansionNotAllowed");
    let done = Observation { expansion: Some(Expansion::Done), ..Observation::default() };
    observe_running(&mut database, true, &done);
    assert_eq!(told(&database, CONDITION_STORAGE_RESIZING), None);
    assert_eq!(told(&database, CONDITION_DEGRADED), None);
}

#[test]
fn missing_secret_and_rejected_password_are_reported_until_they_are_corrected() {
    let mut database = database(json!({}));
    observe_running(&mut database, true, &Observation::default());
    let missing = Observation { auth_secret: AuthSecret::Missing, ..Observation::default() };
    observe_running(&mut database, true, &missing);
    let (_, _, message) = told(&database, CONDITION_AUTH_SECRET_MISSING).unwrap();
    assert!(message.contains("Secret orders-auth") && message.contains("psql"), "{message}");
    observe_running(&mut database, true, &Observation::default());
    assert!(told(&database, CONDITION_AUTH_SECRET_MISSING).is_some(), "it could not be found out");

    let answered = |password| Observation {
        auth_secret: AuthSecret::Present,
        instance: Some(ServerReport { password, ..ServerReport::default() }),
        ..Observation::default()
    };
    observe_running(&mut database, true, &answered(PasswordState::Rejected));
    assert_eq!(told(&database, CONDITION_AUTH_SECRET_MISSING), None);
    let (_, reason, message) = told(&database, CONDITION_PASSWORD_MISMATCH).unwrap();
    assert_eq!(reason, "PasswordRejected");
    assert!(message.contains("Secret orders-auth"), "{message}");
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "PasswordRejected");
    observe_running(&mut database, true, &answered(PasswordState::Accepted));
    assert_eq!(told(&database, CONDITION_DEGRADED), None);
}

#[test]
fn rejected_settings_degrade_the_database_until_they_are_corrected() {
    let mut database = database(json!({}));
    let reported = |rejected: Option<&str>| {
        let settings =
            InlineSettings { rejected: rejected.map(ToOwned::to_owned), ..InlineSettings::default() };
        let instance = ServerReport { inline_settings: Some(settings), ..ServerReport::default() };
        Observation { instance: Some(instance), ..Observation::default() }
    };
    observe_running(
        &mut database,
        true,
        &reported(Some("invalid value for parameter \"work_mem\": \"lots\"")),
    );
    let (status, reason, message) = told(&database, CONDITION_SETTINGS_REJECTED).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "SettingsRejected"));
    assert!(message.contains("spec.configuration.inline: invalid value for parameter"), "{message}");
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "SettingsRejected");
    observe_running(&mut database, false, &Observation::default());
    assert!(told(&database, CONDITION_SETTINGS_REJECTED).is_some(), "the instance was not asked");
    observe_running(&mut database, true, &reported(None));
    assert_eq!(told(&database, CONDITION_SETTINGS_REJECTED), None);
    assert_eq!(told(&database, CONDITION_DEGRADED), None);
}

#[test]
fn secret_that_is_not_mounted_is_no_match_with_the_spec() {
    let mut database = database(json!({ "configSecret": { "name": "new" } }));
    let checked = |check| Observation { settings_check: Some(check), ..Observation::default() };
    observe_running(&mut database, true, &checked(SettingsCheck::Rejected("no such value".to_owned())));
    let message = told(&database, CONDITION_PROVISIONING_STARTED).unwrap().2;
    assert!(message.ends_with("but for the Secret with settings: see SettingsRejected"), "{message}");
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "SecretRejected");
    observe_running(&mut database, true, &checked(SettingsCheck::Blocked("exceeded quota".to_owned())));
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "SettingsNotChecked");
    observe_running(&mut database, true, &checked(SettingsCheck::Running));
    assert_eq!(told(&database, CONDITION_SETTINGS_REJECTED).unwrap().0, "False");
    assert_eq!(told(&database, CONDITION_DEGRADED), None);
    observe_running(&mut database, true, &checked(SettingsCheck::Accepted));
    assert_eq!(told(&database, CONDITION_SETTINGS_REJECTED), None);
    let message = told(&database, CONDITION_PROVISIONING_STARTED).unwrap().2;
    assert!(message.ends_with("match its spec"), "{message}");
}

#[test]
fn rejected_password_is_forgotten_where_clients_have_certificates() {
    let issuer = json!({ "issuerRef": { "kind": "Issuer", "name": "ca" } });
    let answered = |password| Observation {
        auth_secret: AuthSecret::Present,
        instance: Some(ServerReport { password, ..ServerReport::default() }),
        ..Observation::default()
    };
    for (mode, is_kept) in [("scram", true), ("cert", false)] {
        let mut database = database(json!({ "tls": issuer, "clientAuthMode": mode }));
        observe_running(&mut database, true, &answered(PasswordState::Rejected));
        assert!(told(&database, CONDITION_PASSWORD_MISMATCH).is_some(), "until the server is restarted");
        observe_running(&mut database, true, &answered(PasswordState::Unknown));
        assert_eq!(told(&database, CONDITION_PASSWORD_MISMATCH).is_some(), is_kept, "{mode}");
    }
}

#[test]
fn server_is_reported_as_it_answered_last_and_disappears_with_its_pod() {
    let mut database = database(json!({}));
    let answer = ServerReport { server_version: Some("13.16".to_owned()), ..ServerReport::default() };
    let pod = Some("orders-0".to_owned());
    observe_running(
        &mut database,
        true,
        &Observation { pod: pod.clone(), instance: Some(answer), ..Observation::default() },
    );
    observe_running(&mut database, true, &Observation { pod, ..Observation::default() });
    let server = database.status.as_ref().unwrap().server.clone().unwrap();
    assert_eq!((server.pod.as_str(), server.version.as_deref()), ("orders-0", Some("13.16")));
    observe_running(&mut database, false, &Observation::default());
    let status = serde_json::to_value(database.status.unwrap()).unwrap();
    assert!(
        status["server"].is_null() && status.as_object().unwrap().contains_key("server"),
        "a patch removes it"
    );
}

#[test]
fn generation_is_observed_only_if_its_spec_was_built() {
    let mut database = database(json!({}));
    observe_running(&mut database, true, &Observation::default());
    let observed = |database: &Postgres| database.status.as_ref().unwrap().observed_generation;
    assert_eq!(observed(&database), Some(1));
    let pause = Condition::new(CONDITION_PAUSED, "True", "Paused", "paused by r (uid 1)", at(2));
    condition::set(&mut database.status.as_mut().unwrap().conditions, pause);
    database.metadata.generation = Some(2);
    observe_running(&mut database, true, &Observation::default());
    assert_eq!(observed(&database), Some(1));
    let status = database.status.as_mut().unwrap();
    status.conditions.retain(|condition| condition.type_ != CONDITION_PAUSED);
    observe_running(&mut database, true, &Observation::default());
    assert_eq!(observed(&database), Some(2));
}
