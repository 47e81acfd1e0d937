//! Builds the children of a `Postgres`.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Resource, ResourceExt};
use pgops_api::{Postgres, PostgresVersion};

use crate::apply::{ApplyError, ReadError, apply, is_owned, read};
use crate::build_error::BuildError;
use crate::children::children;
use crate::context::Context;
use crate::design::design;
use crate::secret;

/// Builds the children, and returns the workload as it then is.
///
/// The workload is written only in the version that was read.
pub async fn build(
    context: &Context,
    database: &Postgres,
    workload: Option<&StatefulSet>,
) -> Result<StatefulSet, ApplyError> {
    if let Some(taken) = workload.filter(|workload| !is_owned(*workload, database)) {
        let kind = StatefulSet::kind(&()).into_owned();
        return Err(BuildError::Taken { kind, name: taken.name_any() }.into());
    }
    let version = catalog_entry(context, &database.spec.version).await?;
    let design = design(database, version.as_ref(), workload)?;
    let mut children = children(database, &design, &context.images);
    children.workload.metadata.resource_version = workload.and_then(ResourceExt::resource_version);
    let client = &context.client;
    secret::ensure(client, database).await?;
    apply(client, database, &children.account).await?;
    apply(client, database, &children.role).await?;
    apply(client, database, &children.binding).await?;
    for service in &children.services {
        apply(client, database, service).await?;
    }
    apply(client, database, &children.budget).await?;
    apply(client, database, &children.workload).await
}

/// The catalog entry of a version. A name that no object can have is not requested.
async fn catalog_entry(context: &Context, name: &str) -> Result<Option<PostgresVersion>, ApplyError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Ok(None);
    }
    read(&context.client, None, name).await.map_err(|error| match error {
        ReadError::Unreadable(cause) => BuildError::UnreadableEntry { name: name.to_owned(), cause }.into(),
        ReadError::Api(error) => error.into(),
    })
}
