//! The rights of one upgrade's worker: a Role that names the objects it may touch.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use pgops_api::{UpgradePlan, names};

use super::Worker;
use super::metadata::metadata;

impl Worker {
    /// Rights on its own request and its own database, and on nothing else.
    pub fn role(&self) -> Role {
        let UpgradePlan { request, request_uid, database, .. } = &self.plan;
        let of_each = |name: fn(&str, u32) -> String| -> Vec<String> {
            (0..self.replicas).map(|ordinal| name(database, ordinal)).collect()
        };
        // The second one is for a request whose report's usual name is taken.
        let reports = [names::report(request), names::report_by_uid(request, request_uid)];
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
                rule("", "services", &["get", "patch"], one(database)),
                rule("", "pods", &["get", "delete"], &of_each(names::pod)),
                // A claim that is being deleted must not lose its pod.
                rule("", "persistentvolumeclaims", &["get"], &of_each(names::claim)),
                // RBAC cannot restrict `create` to a name.
                rule("", "configmaps", &["create"], &[]),
                rule("", "configmaps", &["get", "patch"], &reports),
                rule("", "events", &["create", "patch"], &[]),
                rule("events.k8s.io", "events", &["create", "patch"], &[]),
            ]),
        }
    }

    /// Grants the Role to the worker's `ServiceAccount`.
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
    use super::*;
    use crate::launcher::fixtures::worker;

    #[test]
    fn role_names_every_existing_object_and_opens_no_secret() {
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
    fn role_names_the_pods_of_the_database() {
        let rules = worker("13.16", "17.11").role().rules.unwrap();
        let pods = rules.iter().find(|rule| rule.resources.as_deref() == Some(&["pods".to_owned()])).unwrap();
        assert_eq!(pods.resource_names.as_deref().unwrap(), ["orders-0"]);
    }

    #[test]
    fn role_names_both_names_that_a_report_may_have() {
        let rules = worker("13.16", "17.11").role().rules.unwrap();
        let is_written = |rule: &&PolicyRule| {
            rule.resources.as_deref() == Some(&["configmaps".to_owned()]) && rule.verbs == ["get", "patch"]
        };
        let reports = rules.iter().find(is_written).unwrap().resource_names.clone().unwrap();
        assert_eq!(reports, ["orders-17-report", "orders-17-3f9c21aa-report"]);
    }

    #[test]
    fn rbac_objects_share_name_and_owner_of_the_job() {
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
