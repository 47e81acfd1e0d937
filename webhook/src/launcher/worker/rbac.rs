//! The Role of one upgrade's worker, and its binding.

use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::Worker;
use super::metadata::rights_metadata;
use super::rights::{Right, rights};

impl Worker {
    /// The rights on its own request and its own database, and on nothing else.
    pub fn role(&self) -> Role {
        Role {
            metadata: rights_metadata(&self.plan),
            rules: Some(rights(&self.plan).into_iter().map(rule).collect()),
        }
    }

    /// Grants the Role to the worker's `ServiceAccount`.
    pub fn role_binding(&self) -> RoleBinding {
        let metadata = rights_metadata(&self.plan);
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

/// These rules with the right to read pods of those names too; none if they have it, or name no pods at all.
pub fn with_pods(rules: &[PolicyRule], names: Vec<String>) -> Option<Vec<PolicyRule>> {
    let mut rules = rules.to_vec();
    let reads_pods = |rule: &&mut PolicyRule| {
        rule.verbs == ["get"] && rule.resources.as_deref().is_some_and(|all| all == ["pods"])
    };
    // Without names it is a right to every pod.
    let known =
        rules.iter_mut().find(reads_pods)?.resource_names.as_mut().filter(|names| !names.is_empty())?;
    let added: Vec<_> = names.into_iter().filter(|name| !known.contains(name)).collect();
    let is_missing = !added.is_empty();
    known.extend(added);
    is_missing.then_some(rules)
}

fn rule(right: Right) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![right.group.to_owned()]),
        resources: Some(vec![right.resource.to_owned()]),
        verbs: right.verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        // An empty list would mean every name.
        resource_names: right.names,
        non_resource_urls: None,
    }
}

#[cfg(test)]
mod tests {
    use super::with_pods;
    use crate::launcher::fixtures::worker;

    #[test]
    fn right_to_read_pods_is_extended_by_name_only() {
        let rules = worker("13.16", "17.11").role().rules.unwrap();
        let extended = with_pods(&rules, vec!["a-x".into(), "a-y".into()]).unwrap();
        let changed: Vec<_> = extended.iter().filter(|rule| !rules.contains(rule)).collect();
        let [changed] = changed[..] else { panic!("{changed:?}") };
        assert_eq!(changed.verbs, ["get"]);
        assert_eq!(changed.resource_names.as_deref().unwrap(), ["orders-0", "a-x", "a-y"]);
        assert_eq!(with_pods(&extended, vec!["a-x".into()]), None, "it has the right");

        let mut every = rules.clone();
        for rule in &mut every {
            rule.resource_names = None;
        }
        assert_eq!(with_pods(&every, vec!["a-x".into()]), None);
    }

    #[test]
    fn rbac_objects_have_the_name_that_policies_recognize_and_the_owner_of_the_job() {
        let worker = worker("13.16", "17.11");
        let metadata =
            [worker.service_account().metadata, worker.role().metadata, worker.role_binding().metadata];
        for metadata in metadata {
            assert_eq!(metadata.name.as_deref(), Some("pgops-worker-orders-17-3f9c21aa"));
            let owner = &metadata.owner_references.unwrap()[0];
            assert_eq!((owner.kind.as_str(), owner.controller), ("PostgresOpsRequest", Some(true)));
        }
        let binding = worker.role_binding();
        assert_eq!(binding.role_ref.name, binding.subjects.unwrap()[0].name);
    }
}
