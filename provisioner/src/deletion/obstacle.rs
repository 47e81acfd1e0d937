//! What holds up the removal of a database whose workload still exists: one pure decision.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use pgops_api::{Postgres, bounded};
use pgops_kube::lost_pod;

use super::decision::DeletionBlocker;
use crate::unready::Unready;

/// How long a controller may take to do its part.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
/// Finalizer by which the garbage collector keeps the workload until its pods have ended.
const FOREGROUND_DELETION: &str = "foregroundDeletion";
/// Longest list of finalizers, in bytes.
const MAX_FINALIZERS: usize = 512;

/// What holds up the removal of a deleted database with this workload and this pod, if that does not pass by itself.
pub fn obstacle(
    database: &Postgres,
    workload: &StatefulSet,
    pod: Option<&Pod>,
    now: Timestamp,
) -> Option<DeletionBlocker> {
    let is_overdue = |since: &Timestamp| now.duration_since(*since) >= PATIENCE;
    let name = workload.name_any();
    let Some(deleted) = deletion_time(&workload.metadata) else {
        let asked = deletion_time(&database.metadata).filter(is_overdue)?;
        let message = format!(
            "since {asked:.0} the volume claims are to outlive StatefulSet {name}, and its controller has not given them up: does \
             kube-controller-manager run?"
        );
        return Some(waits("ClaimsNotReleased", message));
    };
    let Some(pod) = pod else {
        let holders = finalizers(&workload.metadata).filter(|_| is_overdue(&deleted))?;
        let message =
            format!("StatefulSet {name} was deleted at {deleted:.0} and is kept by its finalizers {holders}");
        return Some(waits("StatefulSetNotEnding", message));
    };
    if let Some(lost) = lost_pod(pod, now) {
        return Some(DeletionBlocker::NotEnding(lost.into()));
    }
    let pod_name = pod.name_any();
    let Some(end) = deletion_time(&pod.metadata) else {
        let message = format!(
            "StatefulSet {name} was deleted at {deleted:.0}, and its pod {pod_name} is not being deleted: does \
             kube-controller-manager run?"
        );
        return is_overdue(&deleted).then(|| waits("PodNotEnding", message));
    };
    let detail = match finalizers(&pod.metadata) {
        Some(holders) => format!("it is kept by its finalizers {holders}"),
        None => "does its kubelet run?".to_owned(),
    };
    let message = format!("pod {pod_name} should have ended at {end:.0} and still exists: {detail}");
    is_overdue(&end).then(|| waits("PodNotEnding", message))
}

fn waits(reason: &'static str, message: String) -> DeletionBlocker {
    DeletionBlocker::NotEnding(Unready { reason, message })
}

fn deletion_time(object: &ObjectMeta) -> Option<Timestamp> {
    object.deletion_timestamp.as_ref().map(|time| time.0)
}

/// The finalizers of other controllers, if there are any.
fn finalizers(object: &ObjectMeta) -> Option<String> {
    let all = object.finalizers.iter().flatten().map(String::as_str);
    let held: Vec<_> = all.filter(|finalizer| *finalizer != FOREGROUND_DELETION).collect();
    (!held.is_empty()).then(|| bounded(held.join(", "), MAX_FINALIZERS, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use rstest::rstest;
    use serde_json::{Value, json};

    const FOREGROUND: &str = "foregroundDeletion";

    /// A workload that was deleted then, with these finalizers.
    fn workload(deleted: Option<&str>, finalizers: &[&str]) -> StatefulSet {
        let metadata = json!({ "name": "orders", "deletionTimestamp": deleted, "finalizers": finalizers });
        serde_json::from_value(json!({ "metadata": metadata })).unwrap()
    }

    /// A pod on a node, to end then, in this phase and with these finalizers.
    fn pod(end: Option<&str>, phase: &str, finalizers: &[&str]) -> Value {
        json!({
            "metadata": {
                "name": "orders-0", "namespace": "demo", "deletionTimestamp": end, "finalizers": finalizers,
            },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": phase },
        })
    }

    fn found(workload: &StatefulSet, pod: Option<Value>) -> Option<(&'static str, String)> {
        let mut database = database(json!({}));
        database.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-20T10:00:00Z")).unwrap();
        let pod: Option<Pod> = pod.map(|pod| serde_json::from_value(pod).unwrap());
        let now = "2026-11-20T10:05:00Z".parse().unwrap();
        let blocker = obstacle(&database, workload, pod.as_ref(), now)?;
        Some((blocker.reason(), blocker.to_string()))
    }

    #[rstest]
    #[case::lost_node(pod(Some("2026-11-20T10:01:00Z"), "Running", &[]), "PodNotEnding", "node-1 should have ended")]
    #[case::finalizer_of_another_controller(
        pod(Some("2026-11-20T10:01:00Z"), "Succeeded", &["mesh.example/drain"]),
        "PodNotEnding", "kept by its finalizers mesh.example/drain"
    )]
    #[case::no_garbage_collector(pod(None, "Running", &[]), "PodNotEnding", "does kube-controller-manager run?")]
    fn pod_that_does_not_end_holds_up_the_removal(
        #[case] pod: Value,
        #[case] reason: &str,
        #[case] words: &str,
    ) {
        let (found, message) =
            found(&workload(Some("2026-11-20T10:00:00Z"), &[FOREGROUND]), Some(pod)).unwrap();
        assert_eq!(found, reason);
        assert!(message.contains(words), "{message}");
    }

    #[rstest]
    #[case::in_its_grace_period(pod(Some("2026-11-20T10:05:10Z"), "Running", &[]))]
    #[case::has_just_ended(pod(Some("2026-11-20T10:04:30Z"), "Succeeded", &[]))]
    fn pod_that_ends_in_time_does_not(#[case] pod: Value) {
        assert_eq!(found(&workload(Some("2026-11-20T10:00:00Z"), &[FOREGROUND]), Some(pod)), None);
    }

    #[test]
    fn workload_holds_up_the_removal_if_its_controller_or_a_finalizer_does() {
        let deleted = |finalizers: &[&str]| found(&workload(Some("2026-11-20T10:00:00Z"), finalizers), None);
        assert_eq!(deleted(&[FOREGROUND]), None, "the garbage collector has just seen the end of the pod");
        let (reason, message) = deleted(&[FOREGROUND, "example.com/hold"]).unwrap();
        assert_eq!(reason, "StatefulSetNotEnding");
        assert!(message.ends_with("its finalizers example.com/hold"), "{message}");
        let (reason, _) = found(&workload(None, &[]), None).unwrap();
        assert_eq!(reason, "ClaimsNotReleased");
    }
}
