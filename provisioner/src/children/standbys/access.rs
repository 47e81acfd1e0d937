//! What the servers of a database may do at the API server: see the pods and `ConfigMap`s of their namespace, which cannot be
//! restricted to names, and change their own. No object is created or deleted.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::{Resource, ResourceExt};
use pgops_api::topology::Standbys;
use pgops_api::{Postgres, names};

use super::super::access::{bind, read_own_postgres};
use super::super::metadata::metadata;

pub fn account(database: &Postgres) -> ServiceAccount {
    ServiceAccount {
        metadata: metadata(database, names::ha(&database.name_any())),
        // The container of the server runs code of users: only the proxy next to it has the token.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

pub fn role(database: &Postgres, standbys: Standbys, scope: &str) -> Role {
    let name = database.name_any();
    let pods = (0..standbys.servers()).map(|ordinal| names::pod(&name, ordinal)).collect();
    let rules = vec![
        see("pods"),
        see("configmaps"),
        change("pods", pods),
        change("configmaps", names::ha_config_maps(scope).into()),
        read_own_postgres(database),
    ];
    Role { metadata: metadata(database, names::ha(&name)), rules: Some(rules) }
}

pub fn binding(database: &Postgres) -> RoleBinding {
    bind(database, &names::ha(&database.name_any()))
}

fn see(resource: &str) -> PolicyRule {
    rule(resource, ["list", "watch"], None)
}

fn change(resource: &str, names: Vec<String>) -> PolicyRule {
    rule(resource, ["get", "patch"], Some(names))
}

fn rule(resource: &str, verbs: [&str; 2], resource_names: Option<Vec<String>>) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![k8s_openapi::api::core::v1::Pod::group(&()).into_owned()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names,
        verbs: verbs.map(ToOwned::to_owned).into(),
        ..PolicyRule::default()
    }
}
