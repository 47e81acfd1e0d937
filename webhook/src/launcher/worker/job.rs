//! The Job of one upgrade.

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pgops_api::names;
use pgops_api::plan::{EXIT_ENDED, UpgradeKind};

use super::metadata::{labels, metadata};
use super::{CONTAINER_STAGE, Worker};
use crate::launcher::job_state::ANNOTATION_HELD;
use crate::launcher::options::WorkerOptions;
use crate::launcher::pod_metadata::PodMetadata;

/// Pods that may fail for external reasons before the Job fails.
const BACKOFF_LIMIT: i32 = 6;

impl Worker {
    /// The Job, suspended until the claim on the database names it. A pod that exits with [`EXIT_ENDED`]
    /// fails it, an evicted pod does not count, and there is never a second pod while the first may
    /// still act.
    pub fn job(&self, options: &WorkerOptions) -> serde_json::Result<Job> {
        let mut metadata = metadata(&self.plan);
        metadata.annotations.get_or_insert_default().insert(ANNOTATION_HELD.to_owned(), "true".to_owned());
        // A policy may add a `ttlSecondsAfterFinished`: a Job that vanishes before its result is recorded would be created
        // again.
        metadata.finalizers = Some(vec![names::JOB_FINALIZER.to_owned()]);
        Ok(Job {
            metadata,
            spec: Some(JobSpec {
                suspend: Some(true),
                backoff_limit: Some(BACKOFF_LIMIT),
                pod_replacement_policy: Some("Failed".to_owned()),
                pod_failure_policy: Some(self.failure_policy()),
                template: PodTemplateSpec {
                    metadata: Some(self.pod_metadata(&options.metadata)),
                    spec: Some(self.pod(options)?),
                },
                ..JobSpec::default()
            }),
            status: None,
        })
    }

    /// What pgops finds the pod by takes precedence over what is added.
    fn pod_metadata(&self, added: &PodMetadata) -> ObjectMeta {
        let own = [
            (names::LABEL_REQUEST, self.plan.request.as_str()),
            ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
        ];
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let PodMetadata { labels: mut all_labels, mut annotations } = added.clone();
        all_labels.extend(labels(&self.plan));
        annotations.extend(own.map(owned));
        ObjectMeta { labels: Some(all_labels), annotations: Some(annotations), ..ObjectMeta::default() }
    }

    /// Only these containers say that the request has ended: the others run programs of the target's image.
    fn failure_policy(&self) -> PodFailurePolicy {
        let stage = (self.kind == UpgradeKind::Major).then_some(CONTAINER_STAGE);
        let ended = |container: &str| PodFailurePolicyRule {
            action: "FailJob".to_owned(),
            on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                container_name: Some(container.to_owned()),
                operator: "In".to_owned(),
                values: vec![i32::from(EXIT_ENDED)],
            }),
            on_pod_conditions: None,
        };
        let disrupted = PodFailurePolicyRule {
            action: "Ignore".to_owned(),
            on_exit_codes: None,
            on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                type_: "DisruptionTarget".to_owned(),
                status: "True".to_owned(),
            }]),
        };
        let ending = [names::CONTAINER_RUNNER].into_iter().chain(stage).map(ended);
        PodFailurePolicy { rules: ending.chain([disrupted]).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::launcher::fixtures::{worker, worker_options};

    #[test]
    fn job_ends_with_the_request_and_not_with_a_node() {
        let job = worker("13.16", "17.11").job(&worker_options()).unwrap();
        assert_eq!(job.metadata.name.as_deref(), Some("orders-17-3f9c21aa"));
        assert_eq!(job.metadata.labels.as_ref().unwrap()[names::LABEL_DATABASE], "orders");
        assert_eq!(job.metadata.finalizers.as_deref().unwrap(), [names::JOB_FINALIZER]);
        let spec = job.spec.unwrap();
        assert_eq!(spec.pod_replacement_policy.as_deref(), Some("Failed"));
        assert_eq!(spec.active_deadline_seconds, None);
        let rules = spec.pod_failure_policy.unwrap().rules;
        assert_eq!(rules[0].action, "FailJob");
        let ending: Vec<_> = rules.iter().filter_map(|rule| rule.on_exit_codes.as_ref()).collect();
        let names: Vec<_> = ending.iter().filter_map(|codes| codes.container_name.as_deref()).collect();
        assert_eq!(names, ["runner", "stage"]);
        assert!(ending.iter().all(|codes| codes.values == [42]));
        assert_eq!(rules[2].action, "Ignore");
        assert_eq!(rules[2].on_pod_conditions.as_ref().unwrap()[0].type_, "DisruptionTarget");
    }

    #[test]
    fn pods_have_the_metadata_of_the_options_and_their_own() {
        let own =
            worker("13.16", "17.11").job(&worker_options()).unwrap().spec.unwrap().template.metadata.unwrap();
        let added = r#"{"labels":{"sidecar.istio.io/inject":"false"},
            "annotations":{"linkerd.io/inject":"disabled","pgops.dev/request":"another"}}"#;
        let options = WorkerOptions { metadata: added.parse().unwrap(), ..worker_options() };
        let metadata =
            worker("13.16", "17.11").job(&options).unwrap().spec.unwrap().template.metadata.unwrap();
        let with = |mut own: BTreeMap<String, String>, key: &str, value: &str| {
            own.insert(key.to_owned(), value.to_owned());
            own
        };
        let expected = with(own.labels.unwrap(), "sidecar.istio.io/inject", "false");
        assert_eq!(metadata.labels.unwrap(), expected);
        let expected = with(own.annotations.unwrap(), "linkerd.io/inject", "disabled");
        assert_eq!(metadata.annotations.unwrap(), expected);
    }
}
