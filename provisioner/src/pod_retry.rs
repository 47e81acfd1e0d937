//! Has the StatefulSet's controller try again to create a pod that was refused. By itself it waits longer after each attempt,
//! up to 17 minutes, and does not notice that a quota or a policy was changed; any change of the StatefulSet starts it.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Api, ResourceExt};
use pgops_api::names;
use pgops_kube::{ApiError, patch};
use serde_json::json;

use crate::context::{Context, patch_params};

/// Time between two attempts.
const INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// Changes the StatefulSet, unless that was done a moment ago.
pub async fn retry(context: &Context, workload: &StatefulSet) -> Result<(), ApiError> {
    let now = Timestamp::now();
    if !is_due(workload, now) {
        return Ok(());
    }
    let workloads: Api<StatefulSet> =
        Api::namespaced(context.client.clone(), &workload.namespace().unwrap_or_default());
    let change = json!({ "metadata": { "annotations": { names::ANNOTATION_POD_RETRY: now.to_string() } } });
    patch::patch(&workloads, "retry the pod of", workload, &patch_params(), change).await.map(drop)
}

fn is_due(workload: &StatefulSet, now: Timestamp) -> bool {
    let last = workload.annotations().get(names::ANNOTATION_POD_RETRY);
    let last = last.and_then(|text| text.parse::<Timestamp>().ok());
    // A clock that was set back must not end the attempts.
    last.is_none_or(|last| now.duration_since(last).abs() >= INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{version, workload};

    #[test]
    fn pod_is_retried_after_a_pause() {
        let now = Timestamp::from_second(1_000).unwrap();
        let mut workload = workload(&version("13.16", "13.16", None));
        assert!(is_due(&workload, now));
        let mut is_due_after = |text: &str| {
            workload.annotations_mut().insert(names::ANNOTATION_POD_RETRY.to_owned(), text.to_owned());
            is_due(&workload, now)
        };
        assert!(!is_due_after("1970-01-01T00:16:11Z"));
        assert!(is_due_after("1970-01-01T00:16:10Z"));
        assert!(is_due_after("1970-01-01T00:30:00Z"), "the clock was set back");
        assert!(is_due_after("yesterday"));
    }
}
