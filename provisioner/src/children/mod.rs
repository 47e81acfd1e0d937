//! The objects that a `Postgres` consists of, as pure functions of its design.

mod access;
mod services;
mod statefulset;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::{Resource, ResourceExt};
use pgops_api::{Postgres, names};

use crate::design::Design;

/// Images that are the same for every database.
#[derive(Clone, Debug)]
pub struct Images {
    /// Image of the instance.
    pub instance: String,
    /// `imagePullPolicy` of all containers.
    pub pull_policy: String,
}

/// The objects that a `Postgres` consists of, all owned by it. Its secret and claims are not among
/// them: they outlive it, unless its deletion policy says otherwise.
#[derive(Clone, Debug)]
pub struct Children {
    /// Identity of the instance.
    pub account: ServiceAccount,
    /// What the instance may do.
    pub role: Role,
    /// Gives the role to the account.
    pub binding: RoleBinding,
    /// Names of the pods, the primary, the standbys.
    pub services: [Service; 3],
    /// How many pods may be away at a time.
    pub budget: PodDisruptionBudget,
    /// The pods.
    pub workload: StatefulSet,
}

/// The children of a database.
pub fn children(database: &Postgres, design: &Design, images: &Images) -> Children {
    Children {
        account: access::account(database),
        role: access::role(database),
        binding: access::binding(database),
        services: services::services(database),
        budget: budget(database),
        workload: statefulset::statefulset(database, design, images),
    }
}

/// The labels of every child, which are also the selector of its pods.
pub fn labels(database: &str) -> BTreeMap<String, String> {
    [
        (names::LABEL_NAME, names::LABEL_NAME_VALUE),
        (names::LABEL_INSTANCE, database),
        (names::LABEL_MANAGED_BY, names::LABEL_MANAGED_BY_VALUE),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// Metadata of a child called `name`.
fn metadata(database: &Postgres, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: database.namespace(),
        labels: Some(labels(&database.name_any())),
        owner_references: database.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

fn selector(database: &Postgres) -> LabelSelector {
    LabelSelector { match_labels: Some(labels(&database.name_any())), ..LabelSelector::default() }
}

/// One pod at a time. With a single server a drain of its node goes through, with a clean shutdown:
/// a budget of zero would block every node's maintenance until someone finds out why.
fn budget(database: &Postgres) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: metadata(database, database.name_any()),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selector(database)),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::design::design;
    use crate::design::tests::{database, version};
    use serde_json::{Value, json};

    fn built(change: Value) -> Children {
        let database = database(change);
        let design = design(&database, Some(&version("13.16", "13.16", None)), None).unwrap();
        let images =
            Images { instance: "registry.example/instance:1".into(), pull_policy: "IfNotPresent".into() };
        children(&database, &design, &images)
    }

    fn pretty(object: &impl serde::Serialize) -> String {
        serde_json::to_string_pretty(object).unwrap()
    }

    #[test]
    fn a_typical_database() {
        let built = built(json!({}));
        insta::assert_snapshot!("statefulset", pretty(&built.workload));
        insta::assert_snapshot!("services", pretty(&built.services));
        insta::assert_snapshot!("access", pretty(&(&built.account, &built.role, &built.binding)));
        insta::assert_snapshot!("budget", pretty(&built.budget));
    }

    #[test]
    fn every_selector_finds_the_pods_and_only_the_primary_is_written_to() {
        let built = built(json!({}));
        let template = built.workload.spec.unwrap().template;
        let labels = template.metadata.unwrap().labels.unwrap();
        let finds = |selector: BTreeMap<String, String>| {
            selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        };
        assert!(finds(built.budget.spec.unwrap().selector.unwrap().match_labels.unwrap()));
        let reached = built
            .services
            .map(|service| (service.name_any(), finds(service.spec.unwrap().selector.unwrap())));
        let expected = [("orders-pods", true), ("orders-standby", false), ("orders", true)];
        assert_eq!(reached, expected.map(|(name, found)| (name.to_owned(), found)));
    }

    #[test]
    fn everything_that_a_user_may_set() {
        let built = built(json!({
            "storageType": "Ephemeral",
            "halted": true,
            "authSecret": { "name": "my-auth" },
            "configSecret": { "name": "my-config" },
            "clientAuthMode": "scram",
            "podTemplate": {
                "metadata": { "labels": { "team": "shop", "kubedb.com/role": "standby" }, "annotations": { "a": "b" } },
                "spec": {
                    "nodeSelector": { "disk": "fast" },
                    "tolerations": [{ "key": "db", "operator": "Exists" }],
                    "imagePullSecrets": [{ "name": "registry" }],
                    "priorityClassName": "important",
                    "containers": [{
                        "name": "postgres",
                        "env": [{ "name": "POSTGRES_INITDB_ARGS", "value": "--wal-segsize=64" }],
                        "resources": { "limits": { "memory": "1Gi" } },
                    }],
                },
            },
        }));
        insta::assert_snapshot!("statefulset_with_everything", pretty(&built.workload));
    }
}
