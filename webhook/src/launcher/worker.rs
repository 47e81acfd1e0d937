//! The Job of one upgrade: its pod is the worker.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, LocalObjectReference,
    NodeAffinity, NodeSelectorRequirement, NodeSelectorTerm, ObjectFieldSelector,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec, PreferredSchedulingTerm,
    ResourceRequirements, SELinuxOptions, SeccompProfile, SecretVolumeSource, SecurityContext, Toleration,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use pgops_api::plan::{EXIT_ENDED, NODE_VARIABLE, PLAN_VARIABLE, UpgradeKind};
use pgops_api::postgres::ClientAuthMode;
use pgops_api::{PostgresOpsRequest, UpgradePlan, layout, names};

use super::Images;
use super::access::{self, VOLUME_IDENTITY};
use super::job::ANNOTATION_HELD;

/// The container that executes the plan.
pub const CONTAINER_RUNNER: &str = "runner";
/// Environment variable with the database's `clientAuthMode`.
const CLIENT_AUTH_MODE_VARIABLE: &str = "PGOPS_CLIENT_AUTH_MODE";
/// The program, once `install` has copied it to where every image can run it.
const RUNNER: &str = "/pgops/bin/pgops-runner";
/// Pods that may fail for reasons outside before the Job gives up.
const BACKOFF_LIMIT: i32 = 6;
/// Time in seconds for a runner that is told to go to reach a point where it may.
const TERMINATION_GRACE: i64 = 300;

const VOLUME_TOOLS: &str = "pgops";
const VOLUME_TMP: &str = "tmp";
const VOLUME_RUN: &str = "run";
const VOLUME_SHM: &str = "shm";
const VOLUME_AUTH: &str = "auth";
const VOLUME_CONFIG: &str = "config";

/// Everything that the worker of one request is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// What it executes.
    pub plan: UpgradePlan,
    /// Whether data must be converted: then it mounts the volume and stages the old programs.
    pub kind: UpgradeKind,
    /// Number of the database's pods.
    pub replicas: u32,
    /// Secret with the superuser's name and password.
    pub auth_secret: String,
    /// Secret with the user's settings.
    pub config_secret: Option<String>,
    /// How the database checks passwords.
    pub client_auth_mode: Option<ClientAuthMode>,
    /// Who it runs as.
    pub user: User,
    /// Where it may run.
    pub place: Place,
}

/// The user and groups that the data belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// Numeric id of the user.
    pub id: i64,
    /// Numeric id of its group.
    pub group: Option<i64>,
    /// Group of the volume.
    pub fs_group: Option<i64>,
    /// Further groups.
    pub supplemental_groups: Option<Vec<i64>>,
    /// Label of the volume's files.
    pub se_linux: Option<SELinuxOptions>,
}

/// Where the database's pods may run, and so the worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Node of the database's first pod: it has the volume, and most likely the image.
    pub node: Option<String>,
    /// Labels that a node must have.
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that are tolerated.
    pub tolerations: Option<Vec<Toleration>>,
    /// Secrets for the images' registries.
    pub image_pull_secrets: Option<Vec<LocalObjectReference>>,
    /// Priority of the pods.
    pub priority_class: Option<String>,
}

/// Name, labels and owner of everything that is made for one request.
///
/// The owner does not wait for its children (`blockOwnerDeletion` is off): a request that is deleted in
/// the foreground would otherwise have each Job deleted that is made to bring its database back.
pub fn metadata(plan: &UpgradePlan) -> ObjectMeta {
    let UpgradePlan { request, request_uid, .. } = plan;
    ObjectMeta {
        name: Some(names::job(request, request_uid)),
        namespace: Some(plan.namespace.clone()),
        labels: Some(labels(plan)),
        // A label holds no name longer than 63.
        annotations: Some([(names::LABEL_REQUEST.to_owned(), request.clone())].into()),
        owner_references: Some(vec![OwnerReference {
            api_version: PostgresOpsRequest::api_version(&()).into_owned(),
            kind: PostgresOpsRequest::kind(&()).into_owned(),
            name: request.clone(),
            uid: request_uid.clone(),
            controller: Some(true),
            block_owner_deletion: Some(false),
        }]),
        ..ObjectMeta::default()
    }
}

fn labels(plan: &UpgradePlan) -> BTreeMap<String, String> {
    [
        (names::LABEL_REQUEST.to_owned(), names::request_label(&plan.request, &plan.request_uid)),
        // The same for all requests: by it, the workers of a database are found.
        (names::LABEL_DATABASE.to_owned(), names::label(&plan.database).to_owned()),
    ]
    .into()
}

impl Worker {
    /// The Job, suspended until the claim on the database names it. A pod that ends with [`EXIT_ENDED`]
    /// ends it, one that is evicted does not count, and there is never a second pod while the first may
    /// still act.
    pub fn job(&self, images: &Images) -> serde_json::Result<Job> {
        let mut metadata = metadata(&self.plan);
        metadata.annotations.get_or_insert_default().insert(ANNOTATION_HELD.to_owned(), "true".to_owned());
        Ok(Job {
            metadata,
            spec: Some(JobSpec {
                suspend: Some(true),
                backoff_limit: Some(BACKOFF_LIMIT),
                pod_replacement_policy: Some("Failed".to_owned()),
                pod_failure_policy: Some(failure_policy()),
                template: PodTemplateSpec {
                    metadata: Some(self.pod_metadata()),
                    spec: Some(self.pod(images)?),
                },
                ..JobSpec::default()
            }),
            status: None,
        })
    }

    fn pod_metadata(&self) -> ObjectMeta {
        let annotations = [
            (names::LABEL_REQUEST, self.plan.request.as_str()),
            ("cluster-autoscaler.kubernetes.io/safe-to-evict", "false"),
        ];
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        ObjectMeta {
            labels: Some(labels(&self.plan)),
            annotations: Some(annotations.map(owned).into()),
            ..ObjectMeta::default()
        }
    }

    fn pod(&self, images: &Images) -> serde_json::Result<PodSpec> {
        let Place { node, node_selector, tolerations, image_pull_secrets, priority_class } =
            self.place.clone();
        let pull = |container: Container| Container {
            image_pull_policy: images.pull_policy.map(|policy| policy.as_str().to_owned()),
            ..container
        };
        let stage = self.stage().into_iter();
        Ok(PodSpec {
            service_account_name: Some(names::job(&self.plan.request, &self.plan.request_uid)),
            // Only the runner speaks to the API server: see `access::identity`.
            automount_service_account_token: Some(false),
            restart_policy: Some("Never".to_owned()),
            termination_grace_period_seconds: Some(TERMINATION_GRACE),
            // Variables of the namespace's services could be taken for settings of PostgreSQL.
            enable_service_links: Some(false),
            security_context: Some(self.pod_security()),
            affinity: node.map(near),
            node_selector,
            tolerations,
            image_pull_secrets,
            priority_class_name: priority_class,
            init_containers: Some([install(&images.runner)].into_iter().chain(stage).map(pull).collect()),
            containers: vec![pull(self.runner()?)],
            volumes: Some(self.volumes()),
            ..PodSpec::default()
        })
    }

    /// Stages the old version's programs, out of its own image.
    fn stage(&self) -> Option<Container> {
        let major = self.plan.from.pg_version().ok().filter(|_| self.kind == UpgradeKind::Major)?.major;
        Some(Container {
            image: Some(self.plan.from.image.clone()),
            command: Some(
                [RUNNER, "stage", "--to", layout::OLD_DIR, "--major", &major.to_string()]
                    .map(Into::into)
                    .into(),
            ),
            volume_mounts: Some(vec![mount(VOLUME_TOOLS, "/pgops"), mount(VOLUME_TMP, "/tmp"), passwd()]),
            ..container("stage")
        })
    }

    fn runner(&self) -> serde_json::Result<Container> {
        let env = |name: &str, value: String| EnvVar {
            name: name.to_owned(),
            value: Some(value),
            value_from: None,
        };
        let auth_mode = match self.client_auth_mode {
            Some(mode) => serde_json::to_value(mode)?.as_str().map(ToOwned::to_owned),
            None => None,
        };
        let field = |name: &str, path: &str| EnvVar {
            name: name.to_owned(),
            value: None,
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector { api_version: None, field_path: path.to_owned() }),
                ..EnvVarSource::default()
            }),
        };
        let mut variables = vec![
            env(PLAN_VARIABLE, serde_json::to_string(&self.plan)?),
            field("POD_NAME", "metadata.name"),
            field(NODE_VARIABLE, "spec.nodeName"),
        ];
        variables.extend(auth_mode.map(|mode| env(CLIENT_AUTH_MODE_VARIABLE, mode)));

        let mut mounts = vec![
            mount(VOLUME_TOOLS, "/pgops"),
            mount(VOLUME_TMP, "/tmp"),
            mount(VOLUME_RUN, layout::SOCKET_DIR),
            mount(VOLUME_SHM, "/dev/shm"),
            read_only(mount(VOLUME_AUTH, layout::AUTH_DIR)),
            read_only(mount(VOLUME_IDENTITY, access::IDENTITY_DIR)),
            passwd(),
        ];
        mounts
            .extend(self.config_secret.as_ref().map(|_| read_only(mount(VOLUME_CONFIG, layout::CONFIG_DIR))));
        if self.kind == UpgradeKind::Major {
            mounts.push(mount(names::VOLUME_DATA, layout::VOLUME_ROOT));
        }
        Ok(Container {
            image: Some(self.plan.to.image.clone()),
            command: Some([RUNNER, "upgrade"].map(Into::into).into()),
            env: Some(variables),
            volume_mounts: Some(mounts),
            ..container(CONTAINER_RUNNER)
        })
    }

    fn volumes(&self) -> Vec<Volume> {
        let secret = |name: &str, secret: &str| Volume {
            name: name.to_owned(),
            secret: Some(SecretVolumeSource { secret_name: Some(secret.to_owned()), ..Default::default() }),
            ..Volume::default()
        };
        let mut volumes = vec![
            empty(VOLUME_TOOLS, None),
            empty(VOLUME_TMP, None),
            empty(VOLUME_RUN, None),
            empty(VOLUME_SHM, Some("Memory")),
            secret(VOLUME_AUTH, &self.auth_secret),
            access::identity(),
        ];
        volumes.extend(self.config_secret.as_ref().map(|name| secret(VOLUME_CONFIG, name)));
        if self.kind == UpgradeKind::Major {
            volumes.push(Volume {
                name: names::VOLUME_DATA.to_owned(),
                persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                    claim_name: names::claim(&self.plan.database, 0),
                    read_only: None,
                }),
                ..Volume::default()
            });
        }
        volumes
    }

    fn pod_security(&self) -> PodSecurityContext {
        let User { id, group, fs_group, supplemental_groups, se_linux } = self.user.clone();
        PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(id),
            run_as_group: group,
            fs_group,
            // A change of every file's owner would take its time while the database serves from them.
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

fn failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "FailJob".to_owned(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    // Of all containers: each runs our own program.
                    container_name: None,
                    operator: "In".to_owned(),
                    values: vec![i32::from(EXIT_ENDED)],
                }),
                on_pod_conditions: None,
            },
            PodFailurePolicyRule {
                action: "Ignore".to_owned(),
                on_exit_codes: None,
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    type_: "DisruptionTarget".to_owned(),
                    status: "True".to_owned(),
                }]),
            },
        ],
    }
}

/// Copies the program, and a passwd file in which the pod's user has a name.
fn install(image: &str) -> Container {
    let passwd = format!("{}/passwd", layout::PASSWD_DIR);
    Container {
        image: Some(image.to_owned()),
        args: Some(["install", "--to", layout::TOOLS_DIR, "--passwd", &passwd].map(Into::into).into()),
        volume_mounts: Some(vec![mount(VOLUME_TOOLS, "/pgops")]),
        ..container("install")
    }
}

/// What all containers have in common.
fn container(name: &str) -> Container {
    let quantity = |(name, quantity): (&str, &str)| (name.to_owned(), Quantity(quantity.to_owned()));
    Container {
        name: name.to_owned(),
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        resources: Some(ResourceRequirements {
            requests: Some([("cpu", "100m"), ("memory", "256Mi")].map(quantity).into()),
            ..ResourceRequirements::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
            ..SecurityContext::default()
        }),
        ..Container::default()
    }
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(mount: VolumeMount) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount }
}

fn passwd() -> VolumeMount {
    VolumeMount { sub_path: Some("etc/passwd".to_owned()), ..read_only(mount(VOLUME_TOOLS, "/etc/passwd")) }
}

fn empty(name: &str, medium: Option<&str>) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource { medium: medium.map(Into::into), size_limit: None }),
        ..Volume::default()
    }
}

/// Preferably on that node. Not necessarily: the volume itself decides where it can be.
fn near(node: String) -> Affinity {
    Affinity {
        node_affinity: Some(NodeAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![PreferredSchedulingTerm {
                weight: 100,
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
        }),
        ..Affinity::default()
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
