//! Removes what belongs to a deleted database.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Postgres, names};
use pgops_kube::ApiError;
use serde::de::DeserializeOwned;

use crate::apply::is_owned;
use crate::children::labels;

/// Removes what the policy names; `false` as long as the workload exists.
///
/// The servers go first, so that they shut down cleanly while everything that they use exists, and so that a
/// volume claim that is kept is free once the object is deleted.
pub async fn remove(
    client: &Client,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<bool, ApiError> {
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    if let Some(workload) = workload.filter(|workload| is_owned(*workload, database)) {
        if workload.metadata.deletion_timestamp.is_none() {
            tracing::info!(namespace, database = name, ?policy, "stopping the servers of a deleted database");
            delete::<StatefulSet>(client, &namespace, &name, &DeleteParams::foreground()).await?;
        }
        return Ok(false);
    }
    if matches!(policy, DeletionPolicy::Delete | DeletionPolicy::WipeOut) {
        for claim in claims(client, &namespace, &name).await? {
            tracing::info!(
                namespace,
                database = name,
                claim,
                "deleting the volume claim of a deleted database"
            );
            delete::<PersistentVolumeClaim>(client, &namespace, &claim, &DeleteParams::default()).await?;
        }
    }
    let own_secret = names::auth_secret(&name);
    if policy == DeletionPolicy::WipeOut && database.auth_secret() == own_secret {
        delete::<Secret>(client, &namespace, &own_secret, &DeleteParams::default()).await?;
    }
    Ok(true)
}

/// Names of a database's volume claims: by label, and by name too, since a label is easily copied.
async fn claims(client: &Client, namespace: &str, database: &str) -> Result<Vec<String>, ApiError> {
    let selector: Vec<_> =
        labels(database).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let params = ListParams::default().labels(&selector.join(","));
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let failed = ApiError::on::<PersistentVolumeClaim>("list", database);
    let found = api.list_metadata(&params).await.map_err(failed)?;
    let names = found.items.iter().map(ResourceExt::name_any);
    Ok(names.filter(|claim| is_claim_of(database, claim)).collect())
}

fn is_claim_of(database: &str, claim: &str) -> bool {
    let ordinal = claim.rsplit('-').next().and_then(|ordinal| ordinal.parse().ok());
    ordinal.is_some_and(|ordinal| names::claim(database, ordinal) == claim)
}

/// Deletes an object, if it exists.
async fn delete<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    params: &DeleteParams,
) -> Result<(), ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match api.delete(name, params).await.map_err(ApiError::on::<K>("delete", name)) {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("data-orders-0", true)]
    #[case("data-orders-11", true)]
    #[case("data-orders-copy-0", false)]
    #[case("data-orders-", false)]
    #[case("data-orders-00", false)]
    #[case("backup-orders-0", false)]
    fn claims_of_other_databases_are_not_deleted(#[case] claim: &str, #[case] expected: bool) {
        assert_eq!(is_claim_of("orders", claim), expected);
    }
}
