//! Builds the children of a `Postgres`.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt};
use pgops_api::{Owner, Postgres, PostgresVersion};
use pgops_kube::ApiError;

use crate::apply::{ApplyError, ReadError, apply, read};
use crate::build_error::BuildError;
use crate::builds::Inputs;
use crate::children::children;
use crate::claims::ExistingData;
use crate::context::Context;
use crate::design::design;
use crate::image::ImageChoice;
use crate::secret;

/// What was built.
pub struct Built {
    /// The workload as it then is.
    pub workload: StatefulSet,
    /// Its image, which need not be the catalog's.
    pub image: ImageChoice,
}

/// Builds the children, unless they were just built from the same. The workload is written only in the version that was
/// read, and the database becomes the one with the record of its new Secret, if one was created.
pub async fn build(
    context: &Context,
    database: &mut Postgres,
    workload: Option<&StatefulSet>,
) -> Result<Built, ApplyError> {
    if let Some(workload) = workload {
        Owner::of(&*database).require(workload).map_err(BuildError::Taken)?;
    }
    let version = catalog_entry(context, &database.spec.version).await?;
    let client = &context.client;
    let data = if workload.is_some() && database.was_initialized() {
        ExistingData::default()
    } else {
        ExistingData::find(client, database).await?
    };
    let design = design(database, version.as_ref(), workload, &data)?;
    // Before the workload, whose claims record the Secret.
    secret::ensure(client, database, &data).await?;
    let database = &*database;
    if let Some(workload) = workload
        && context.builds.is_current(database, &Inputs::new(database, version.as_ref(), Some(workload)))
    {
        return Ok(Built { workload: workload.clone(), image: design.image });
    }
    let mut children = children(database, &design, &context.images);
    children.workload.metadata.resource_version = workload.and_then(ResourceExt::resource_version);
    apply(client, database, &children.account).await?;
    apply(client, database, &children.role).await?;
    apply(client, database, &children.binding).await?;
    for service in &mut children.services {
        set_ip_families(context, service).await?;
        apply(client, database, service).await?;
    }
    apply(client, database, &children.budget).await?;
    let workload = apply(client, database, &children.workload).await?;
    context.builds.record(database, Inputs::new(database, version.as_ref(), Some(&workload)));
    Ok(Built { workload, image: design.image })
}

async fn set_ip_families(context: &Context, service: &mut Service) -> Result<(), ApiError> {
    let name = service.name_any();
    let mut existing = None;
    if context.ip_families.depend_on_existing() {
        let namespace = service.namespace().unwrap_or_default();
        let services: Api<Service> = Api::namespaced(context.client.clone(), &namespace);
        existing = services.get_opt(&name).await.map_err(ApiError::on::<Service>("read", name))?;
    }
    if let Some(spec) = &mut service.spec {
        context.ip_families.set(spec, existing.as_ref().and_then(|existing| existing.spec.as_ref()));
    }
    Ok(())
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
