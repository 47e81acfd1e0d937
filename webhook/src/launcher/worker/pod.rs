//! The pod of a worker.

use k8s_openapi::api::core::v1::{
    Affinity, Container, NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, PodAffinity,
    PodAffinityTerm, PodSecurityContext, PodSpec, PreferredSchedulingTerm, SeccompProfile,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use pgops_api::names;

use super::containers::install;
use super::{RunAs, Scheduling, Worker};
use crate::launcher::options::WorkerOptions;

/// Seconds that a terminated runner has to reach a point where it can stop.
const TERMINATION_GRACE: i64 = 300;

impl Worker {
    pub(super) fn pod(&self, options: &WorkerOptions) -> serde_json::Result<PodSpec> {
        let Scheduling { node, node_selector, tolerations, image_pull_secrets, priority_class } =
            self.scheduling.clone();
        let with_pull_policy = |container: Container| Container {
            image_pull_policy: options.pull_policy.map(|policy| format!("{policy:?}")),
            ..container
        };
        let init_containers = [install(options)]
            .into_iter()
            .chain(self.stage(options))
            .chain([self.programs(options)])
            .chain(self.rehearsal(options));
        Ok(PodSpec {
            service_account_name: Some(names::worker(&self.plan.request, &self.plan.request_uid)),
            // Only the runner speaks to the API server: see `identity`.
            automount_service_account_token: Some(false),
            restart_policy: Some("Never".to_owned()),
            // Each container is on its own: a process of one cannot be reached from another.
            share_process_namespace: Some(false),
            termination_grace_period_seconds: Some(TERMINATION_GRACE),
            // Variables of the namespace's services could be taken for settings of PostgreSQL.
            enable_service_links: Some(false),
            security_context: Some(self.pod_security()),
            affinity: Some(self.near_database(node)),
            node_selector: options.images.node_selector(node_selector),
            tolerations,
            image_pull_secrets: options.images.pull_secrets(image_pull_secrets),
            priority_class_name: priority_class,
            init_containers: Some(init_containers.map(with_pull_policy).collect()),
            containers: vec![with_pull_policy(self.runner(options)?)],
            volumes: Some(self.volumes()),
            ..PodSpec::default()
        })
    }

    /// Prefers the node where the database's pod runs by then, which a drain may have moved, or `node` if it does not run. It is
    /// not required: the volume itself decides where the pod can run.
    fn near_database(&self, node: Option<String>) -> Affinity {
        let database = names::label(&self.plan.database);
        let labels = [(names::LABEL_NAME, names::LABEL_NAME_VALUE), (names::LABEL_INSTANCE, database)];
        let term = PodAffinityTerm {
            label_selector: Some(LabelSelector {
                match_labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                match_expressions: None,
            }),
            topology_key: "kubernetes.io/hostname".to_owned(),
            ..PodAffinityTerm::default()
        };
        Affinity {
            node_affinity: node.map(prefer_node),
            pod_affinity: Some(PodAffinity {
                preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                    weight: WEIGHT,
                    pod_affinity_term: term,
                }]),
                required_during_scheduling_ignored_during_execution: None,
            }),
            pod_anti_affinity: None,
        }
    }

    fn pod_security(&self) -> PodSecurityContext {
        let RunAs { user, group, fs_group, supplemental_groups, se_linux } = self.run_as.clone();
        PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(user),
            run_as_group: group,
            fs_group,
            // Changing the owner of every file would take long while the database serves from them.
            fs_group_change_policy: fs_group.map(|_| "OnRootMismatch".to_owned()),
            supplemental_groups,
            se_linux_options: se_linux,
            seccomp_profile: Some(SeccompProfile {
                type_: "RuntimeDefault".to_owned(),
                localhost_profile: None,
            }),
            ..PodSecurityContext::default()
        }
    }
}

/// How much a preferred node counts in scheduling: as much as possible.
const WEIGHT: i32 = 100;

fn prefer_node(node: String) -> NodeAffinity {
    NodeAffinity {
        preferred_during_scheduling_ignored_during_execution: Some(vec![PreferredSchedulingTerm {
            weight: WEIGHT,
            preference: NodeSelectorTerm {
                match_fields: Some(vec![NodeSelectorRequirement {
                    key: "metadata.name".to_owned(),
                    operator: "In".to_owned(),
                    values: Some(vec![node]),
                }]),
                match_expressions: None,
            },
        }]),
        required_during_scheduling_ignored_during_execution: None,
    }
}

#[cfg(test)]
mod tests;
