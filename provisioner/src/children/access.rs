//! The permissions of an instance: to read its own `Postgres`, and nothing else.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::{Resource, ResourceExt};
use pgops_api::Postgres;

use super::metadata::metadata;

pub fn account(database: &Postgres) -> ServiceAccount {
    ServiceAccount { metadata: metadata(database, database.name_any()), ..ServiceAccount::default() }
}

pub fn role(database: &Postgres) -> Role {
    Role {
        metadata: metadata(database, database.name_any()),
        rules: Some(vec![PolicyRule {
            api_groups: Some(vec![Postgres::group(&()).into_owned()]),
            resources: Some(vec![Postgres::plural(&()).into_owned()]),
            resource_names: Some(vec![database.name_any()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        }]),
    }
}

pub fn binding(database: &Postgres) -> RoleBinding {
    RoleBinding {
        metadata: metadata(database, database.name_any()),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: database.name_any(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: database.name_any(),
            namespace: database.namespace(),
            ..Subject::default()
        }]),
    }
}
