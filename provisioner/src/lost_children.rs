//! Whether the children of a database still exist. Only `StatefulSet`s are watched: watches of the others would need the right to
//! list every ConfigMap and Service of the namespaces.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::GetParams;
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::{Owner, Postgres};
use pgops_kube::{ApiError, status};
use serde::de::DeserializeOwned;

use crate::children::{Children, StandbyChildren};

/// Whether all of them exist, apart from the workload, which is read anyway.
pub async fn all_exist(client: &Client, database: &Postgres, children: &Children) -> Result<bool, ApiError> {
    let Children { account, role, binding, services, budget, settings, standbys, workload: _ } = children;
    for service in services {
        if !exists(client, database, service).await? {
            return Ok(false);
        }
    }
    if let Some(standbys) = standbys
        && !standbys_exist(client, database, standbys).await?
    {
        return Ok(false);
    }
    Ok(exists(client, database, settings).await?
        && exists(client, database, account).await?
        && exists(client, database, role).await?
        && exists(client, database, binding).await?
        && exists(client, database, budget).await?)
}

async fn standbys_exist(
    client: &Client,
    database: &Postgres,
    standbys: &StandbyChildren,
) -> Result<bool, ApiError> {
    let StandbyChildren { account, role, binding, config_maps } = standbys;
    for config_map in config_maps {
        if !exists(client, database, config_map).await? {
            return Ok(false);
        }
    }
    Ok(exists(client, database, account).await?
        && exists(client, database, role).await?
        && exists(client, database, binding).await?)
}

/// Whether an object of the child's name belongs to the database, as a cache of the API server has it.
async fn exists<K>(client: &Client, database: &Postgres, child: &K) -> Result<bool, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let (name, namespace) = (child.name_any(), child.namespace().unwrap_or_default());
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let exists = match api.get_metadata_with(&name, &GetParams::any()).await {
        Ok(found) => Owner::of(database).owns(&found.metadata),
        Err(error) if status::is_not_found(&error) => false,
        Err(error) => return Err(ApiError::on::<K>("read", name)(error)),
    };
    if !exists {
        let (kind, database) = (K::kind(&()), database.name_any());
        tracing::info!(namespace, database, %kind, name, "an object of the database was deleted: creating it again");
    }
    Ok(exists)
}
