//! The request that may change a database.

use kube::Api;
use pgops_api::{Claim, Postgres, PostgresOpsRequest};
use pgops_kube::ApiError;

use crate::context::Context;

/// The request that the claim on the database names, if it exists.
pub async fn holder(context: &Context, database: &Postgres) -> Result<Option<PostgresOpsRequest>, ApiError> {
    let Some(claim) = Claim::on(database).ok().flatten() else { return Ok(None) };
    let namespace = database.metadata.namespace.as_deref().unwrap_or_default();
    let requests: Api<PostgresOpsRequest> = Api::namespaced(context.client.clone(), namespace);
    let name = claim.request.as_str();
    let found = requests.get_opt(name).await.map_err(ApiError::on::<PostgresOpsRequest>("read", name))?;
    Ok(found.filter(|request| claim.is_of(request)))
}
