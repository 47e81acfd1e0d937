//! The rights of one upgrade's worker: an identity of its own, and a Role that names what it may touch.

use k8s_openapi::api::core::v1::{
    ConfigMapProjection, DownwardAPIProjection, DownwardAPIVolumeFile, KeyToPath, ObjectFieldSelector,
    ProjectedVolumeSource, ServiceAccount, ServiceAccountTokenProjection, Volume, VolumeProjection,
};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use pgops_api::{UpgradePlan, names};

use super::worker::{Worker, metadata};

/// Volume with the worker's identity.
pub const VOLUME_IDENTITY: &str = "identity";
/// Where every client looks for a pod's identity.
pub const IDENTITY_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Life of a token in seconds, as the API server gives it to pods; the kubelet renews it.
const TOKEN_LIFE: i64 = 3607;

impl Worker {
    /// The worker's identity.
    pub fn service_account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: metadata(&self.plan),
            // Given to one container of the pod, by its own volume.
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }

    /// What it may do: to its own request, to its own database, and to nothing else.
    pub fn role(&self) -> Role {
        let UpgradePlan { request, database, .. } = &self.plan;
        let pods: Vec<String> = (0..self.replicas).map(|ordinal| names::pod(database, ordinal)).collect();
        let report = names::report(request);
        let one = std::slice::from_ref;
        Role {
            metadata: metadata(&self.plan),
            rules: Some(vec![
                rule("ops.kubedb.com", "postgresopsrequests", &["get"], one(request)),
                rule(
                    "ops.kubedb.com",
                    "postgresopsrequests/status",
                    &["get", "patch", "update"],
                    one(request),
                ),
                rule("kubedb.com", "postgreses", &["get", "patch"], one(database)),
                rule("kubedb.com", "postgreses/status", &["get", "patch", "update"], one(database)),
                rule("apps", "statefulsets", &["get", "patch"], one(database)),
                rule("", "services", &["patch"], one(database)),
                rule("", "pods", &["get", "delete"], &pods),
                // A right to create cannot name what is created.
                rule("", "configmaps", &["create"], &[]),
                rule("", "configmaps", &["get", "patch"], one(&report)),
                rule("", "events", &["create", "patch"], &[]),
                rule("events.k8s.io", "events", &["create", "patch"], &[]),
            ]),
        }
    }

    /// Gives the role to the identity.
    pub fn role_binding(&self) -> RoleBinding {
        let metadata = metadata(&self.plan);
        let name = metadata.name.clone().unwrap_or_default();
        RoleBinding {
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".to_owned(),
                kind: "Role".to_owned(),
                name: name.clone(),
            },
            subjects: Some(vec![Subject {
                kind: "ServiceAccount".to_owned(),
                name,
                namespace: metadata.namespace.clone(),
                api_group: None,
            }]),
            metadata,
        }
    }
}

/// What the API server would mount into every container: token, authority and namespace.
pub fn identity() -> Volume {
    let token = VolumeProjection {
        service_account_token: Some(ServiceAccountTokenProjection {
            audience: None,
            expiration_seconds: Some(TOKEN_LIFE),
            path: "token".to_owned(),
        }),
        ..VolumeProjection::default()
    };
    let authority = VolumeProjection {
        config_map: Some(ConfigMapProjection {
            name: "kube-root-ca.crt".to_owned(),
            items: Some(vec![KeyToPath { key: "ca.crt".to_owned(), path: "ca.crt".to_owned(), mode: None }]),
            optional: None,
        }),
        ..VolumeProjection::default()
    };
    let namespace = DownwardAPIVolumeFile {
        path: "namespace".to_owned(),
        field_ref: Some(ObjectFieldSelector {
            api_version: None,
            field_path: "metadata.namespace".to_owned(),
        }),
        ..DownwardAPIVolumeFile::default()
    };
    let namespace = VolumeProjection {
        downward_api: Some(DownwardAPIProjection { items: Some(vec![namespace]) }),
        ..VolumeProjection::default()
    };
    Volume {
        name: VOLUME_IDENTITY.to_owned(),
        projected: Some(ProjectedVolumeSource {
            default_mode: None,
            sources: Some(vec![token, authority, namespace]),
        }),
        ..Volume::default()
    }
}

fn rule(group: &str, resource: &str, verbs: &[&str], names: &[String]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        resource_names: (!names.is_empty()).then(|| names.to_vec()),
        non_resource_urls: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::launcher::fixtures::worker;

    #[test]
    fn the_role_names_everything_that_exists_and_opens_no_secret() {
        let rules = worker("13.16", "17.11").role().rules.unwrap();
        for rule in rules {
            let resource = rule.resources.unwrap().remove(0);
            let creates_only = rule.verbs == ["create"] || resource == "events";
            assert_eq!(rule.resource_names.is_none(), creates_only, "{resource} {:?}", rule.verbs);
            assert!(!["secrets", "pods/exec", "*"].contains(&resource.as_str()));
            assert!(
                rule.verbs.iter().all(|verb| !["*", "list", "watch"].contains(&verb.as_str())),
                "{resource}"
            );
        }
    }

    #[test]
    fn the_pods_are_those_of_the_database() {
        let rules = worker("13.16", "17.11").role().rules.unwrap();
        let pods = rules.iter().find(|rule| rule.resources.as_deref() == Some(&["pods".to_owned()])).unwrap();
        assert_eq!(pods.resource_names.as_deref().unwrap(), ["orders-0"]);
    }

    #[test]
    fn account_role_and_binding_share_the_jobs_name_and_owner() {
        let worker = worker("13.16", "17.11");
        let metadata =
            [worker.service_account().metadata, worker.role().metadata, worker.role_binding().metadata];
        for metadata in metadata {
            assert_eq!(metadata.name.as_deref(), Some("orders-17-3f9c21aa"));
            let owner = &metadata.owner_references.unwrap()[0];
            assert_eq!((owner.kind.as_str(), owner.controller), ("PostgresOpsRequest", Some(true)));
        }
        let binding = worker.role_binding();
        assert_eq!(binding.role_ref.name, binding.subjects.unwrap()[0].name);
    }
}
