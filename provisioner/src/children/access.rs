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
    Role { metadata: metadata(database, database.name_any()), rules: Some(vec![read_own_postgres(database)]) }
}

/// The right to read one `Postgres`.
pub fn read_own_postgres(database: &Postgres) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![Postgres::group(&()).into_owned()]),
        resources: Some(vec![Postgres::plural(&()).into_owned()]),
        resource_names: Some(vec![database.name_any()]),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    }
}

pub fn binding(database: &Postgres) -> RoleBinding {
    bind(database, &database.name_any())
}

/// Gives a service account the Role of its own name.
pub fn bind(database: &Postgres, name: &str) -> RoleBinding {
    RoleBinding {
        metadata: metadata(database, name.to_owned()),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: name.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: database.namespace(),
            ..Subject::default()
        }]),
    }
}
