//! The finalizer that keeps a deleted database until what belongs to it is removed.

use kube::{Api, ResourceExt};
use pgops_api::{Postgres, names};
use pgops_kube::finalizers::{has_finalizer, with_finalizer, without_finalizer};
use pgops_kube::{ApiError, patch};
use serde_json::Value;

use crate::context::{Context, patch_params};

/// Adds it, unless the database has it.
pub async fn add(context: &Context, database: &mut Postgres) -> Result<(), ApiError> {
    if !has_finalizer(database, names::POSTGRES_FINALIZER) {
        let change = with_finalizer(database, names::POSTGRES_FINALIZER);
        *database = write(context, "add the finalizer of", database, change).await?;
    }
    Ok(())
}

/// Removes it, which ends the object unless another controller keeps it.
pub async fn remove(context: &Context, database: &Postgres) -> Result<(), ApiError> {
    let change = without_finalizer(database, names::POSTGRES_FINALIZER);
    write(context, "remove the finalizer of", database, change).await.map(drop)
}

async fn write(
    context: &Context,
    verb: &'static str,
    database: &Postgres,
    change: Value,
) -> Result<Postgres, ApiError> {
    let namespace = database.namespace().unwrap_or_default();
    let databases: Api<Postgres> = Api::namespaced(context.client.clone(), &namespace);
    patch::patch(&databases, verb, database, &patch_params(), change).await
}
