//! Whether pgops can be removed now: one pure decision.

use std::fmt;

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use pgops_api::opsrequest::Phase;
use pgops_api::plan::pause_owner_uid;
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, PostgresOpsRequest, names};
use pgops_kube::finalizers::has_finalizer;

use super::observe::Observed;

/// Who has set the finalizers of databases.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseFinalizers {
    /// The provisioner of this installation.
    Ours,
    /// Another provisioner, such as `KubeDB`'s, which uses the same name.
    OfAnother,
}

/// What pgops has to complete first, as one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Blockers(Vec<String>);

impl fmt::Display for Blockers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pgops cannot be removed now, and nothing was changed:")?;
        self.0.iter().try_for_each(|blocker| write!(f, "\n- {blocker}"))
    }
}

/// The databases whose finalizer is removed, or why none is.
pub fn decide(
    observed: &Observed,
    finalizers: DatabaseFinalizers,
) -> Result<Vec<&DeserializeGuard<Postgres>>, Blockers> {
    let requests = observed.requests.iter().filter_map(request_blocker);
    let databases = observed.databases.iter().filter_map(|database| database_blocker(database, finalizers));
    let blockers: Vec<String> = requests.chain(databases).collect();
    if !blockers.is_empty() {
        return Err(Blockers(blockers));
    }
    let is_ours = |database: &&DeserializeGuard<Postgres>| {
        finalizers == DatabaseFinalizers::Ours && has_finalizer(*database, names::POSTGRES_FINALIZER)
    };
    Ok(observed.databases.iter().filter(is_ours).collect())
}

/// A request that was started and has not ended, or whose worker may still act: its finalizer says that.
///
/// One that waits for its turn blocks nothing. It starts if pgops is installed again.
fn request_blocker(request: &DeserializeGuard<PostgresOpsRequest>) -> Option<String> {
    let key = key(request);
    let has_worker = has_finalizer(request, names::REQUEST_FINALIZER);
    let phase = match &request.0 {
        Ok(readable) if !readable.is_executed() => return None,
        Ok(readable) => Some(readable.phase()),
        Err(_) => None,
    };
    match phase {
        Some(phase) if phase.is_terminal() && has_worker => Some(format!(
            "PostgresOpsRequest {key} is {phase:?}, and its worker is being removed: try again in a minute"
        )),
        Some(phase) if phase == Phase::Progressing || (has_worker && !phase.is_terminal()) => Some(format!(
            "PostgresOpsRequest {key} is {phase:?}: wait until it has ended, or cancel it (kubectl annotate pgops {} -n {} \
             {}=true)",
            request.name_any(),
            request.namespace().unwrap_or_default(),
            names::ANNOTATION_CANCEL,
        )),
        None if has_worker => Some(format!(
            "PostgresOpsRequest {key} has a worker, and cannot be read: was it written by a newer pgops?"
        )),
        _ => None,
    }
}

fn database_blocker(database: &DeserializeGuard<Postgres>, finalizers: DatabaseFinalizers) -> Option<String> {
    let key = key(database);
    let readable = database.0.as_ref().ok();
    let is_ours =
        finalizers == DatabaseFinalizers::Ours && has_finalizer(database, names::POSTGRES_FINALIZER);
    // Without its finalizer it would disappear at once, whatever its policy says.
    if is_ours && database.meta().deletion_timestamp.is_some() {
        let is_kept = readable.is_some_and(|it| it.deletion_policy() == DeletionPolicy::DoNotTerminate);
        let remedy = if is_kept {
            "spec.deletionPolicy DoNotTerminate keeps it: set another policy"
        } else {
            "wait until it is deleted"
        };
        return Some(format!("Postgres {key} is being deleted: {remedy}"));
    }
    let pause = readable.and_then(|it| it.paused()).and_then(|pause| pause.message.as_deref());
    // Another program may have paused it for a reason of its own.
    let pause = pause.filter(|message| pause_owner_uid(message).is_some())?;
    Some(format!("Postgres {key} is {pause}: let that request end, or resume it (docs/runbook.md)"))
}

fn key(object: &impl ResourceExt) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    fn parse<T: DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).unwrap()
    }

    fn database(metadata: &Value, more: &Value) -> DeserializeGuard<Postgres> {
        let mut object = json!({
            "apiVersion": "kubedb.com/v1", "kind": "Postgres",
            "metadata": { "name": "orders", "namespace": "demo", "finalizers": ["kubedb.com"] },
            "spec": { "version": "13.16" },
        });
        object["metadata"].as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parse(object)
    }

    fn request(type_: &str, phase: &str, finalizers: &[&str]) -> DeserializeGuard<PostgresOpsRequest> {
        parse(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": { "name": "orders-17", "namespace": "demo", "finalizers": finalizers },
            "spec": { "type": type_, "databaseRef": { "name": "orders" } },
            "status": { "phase": phase },
        }))
    }

    fn blockers_of_request(request: DeserializeGuard<PostgresOpsRequest>) -> Vec<String> {
        let observed = Observed { databases: Vec::new(), requests: vec![request] };
        decide(&observed, DatabaseFinalizers::Ours).err().map_or_else(Vec::new, |blockers| blockers.0)
    }

    fn decide_on(
        database: DeserializeGuard<Postgres>,
        finalizers: DatabaseFinalizers,
    ) -> Result<usize, String> {
        let observed = Observed { databases: vec![database], requests: Vec::new() };
        decide(&observed, finalizers).map(|released| released.len()).map_err(|blockers| blockers.to_string())
    }

    const RUNNER: &[&str] = &["pgops.dev/runner"];

    #[rstest]
    #[case::running("UpdateVersion", "Progressing", RUNNER, "pgops.dev/cancel=true")]
    #[case::claimed("UpdateVersion", "Pending", RUNNER, "wait until it has ended")]
    #[case::released_by_force("UpdateVersion", "Progressing", &[], "wait until it has ended")]
    #[case::worker_not_gone("UpdateVersion", "Failed", RUNNER, "try again in a minute")]
    #[case::of_a_newer_api("Teleport", "Progressing", RUNNER, "cannot be read")]
    fn request_with_a_worker_blocks_the_removal(
        #[case] type_: &str,
        #[case] phase: &str,
        #[case] finalizers: &[&str],
        #[case] remedy: &str,
    ) {
        let blockers = blockers_of_request(request(type_, phase, finalizers));
        let [blocker] = &blockers[..] else { panic!("{blockers:?}") };
        assert!(blocker.contains("demo/orders-17") && blocker.contains(remedy), "{blocker}");
    }

    #[rstest]
    #[case::ended("UpdateVersion", "Successful")]
    #[case::waits_for_its_turn("UpdateVersion", "Pending")]
    #[case::waits_for_approval("UpdateVersion", "WaitingForApproval")]
    #[case::of_another_operator("HorizontalScaling", "Progressing")]
    fn request_without_a_worker_does_not_block_the_removal(#[case] type_: &str, #[case] phase: &str) {
        assert_eq!(blockers_of_request(request(type_, phase, &[])), Vec::<String>::new());
    }

    #[test]
    fn database_is_released_only_from_the_finalizer_of_this_installation() {
        let ours = || database(&json!({}), &json!({}));
        assert_eq!(decide_on(ours(), DatabaseFinalizers::Ours), Ok(1));
        assert_eq!(decide_on(ours(), DatabaseFinalizers::OfAnother), Ok(0));
        let released = database(&json!({ "finalizers": ["other"] }), &json!({}));
        assert_eq!(decide_on(released, DatabaseFinalizers::Ours), Ok(0));
        let unreadable = database(&json!({}), &json!({ "spec": { "version": 17 } }));
        assert!(unreadable.0.is_err());
        assert_eq!(decide_on(unreadable, DatabaseFinalizers::Ours), Ok(1));
    }

    #[rstest]
    #[case::by_its_policy("Delete", "wait until it is deleted")]
    #[case::kept("DoNotTerminate", "set another policy")]
    fn deletion_in_progress_blocks_the_removal(#[case] policy: &str, #[case] remedy: &str) {
        let deleted = json!({ "deletionTimestamp": "2026-11-20T10:00:00Z" });
        let spec = json!({ "spec": { "version": "13.16", "deletionPolicy": policy } });
        let error = decide_on(database(&deleted, &spec), DatabaseFinalizers::Ours).unwrap_err();
        assert!(error.contains("demo/orders") && error.contains(remedy), "{error}");
        assert_eq!(decide_on(database(&deleted, &spec), DatabaseFinalizers::OfAnother), Ok(0));
    }

    /// Its data may be in the middle of an upgrade that only pgops can complete or roll back.
    #[rstest]
    #[case::by_a_request(
        "paused by PostgresOpsRequest orders-17 (uid 1) for the upgrade 13.16 to 17.11",
        true
    )]
    #[case::by_hand("paused by hand", false)]
    fn paused_database_blocks_the_removal(#[case] message: &str, #[case] blocks: bool) {
        let pause = json!({
            "type": "Paused", "status": "True", "message": message, "lastTransitionTime": "2026-11-20T10:00:00Z",
        });
        let status = json!({ "status": { "conditions": [pause] } });
        for finalizers in [DatabaseFinalizers::Ours, DatabaseFinalizers::OfAnother] {
            let decided = decide_on(database(&json!({}), &status), finalizers);
            assert_eq!(decided.is_err(), blocks, "{decided:?}");
        }
    }
}
