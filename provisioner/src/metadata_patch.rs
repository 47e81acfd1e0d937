//! JSON patches that are answered with the metadata of the object alone: the provisioner reads no passwords.

use axum::http::{Request, header};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Client, Resource};
use serde_json::Value;

use crate::apply::MANAGER;

/// What the API server answers with: no data.
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// What becomes of the changed object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Effect {
    Stored,
    /// Nothing is stored: the answer says whether the patch applies.
    DryRun,
}

/// Sends a JSON patch for the object called `name`.
pub async fn send<K>(
    client: &Client,
    namespace: &str,
    name: &str,
    effect: Effect,
    operations: &Value,
) -> kube::Result<()>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let dry_run = match effect {
        Effect::Stored => "",
        Effect::DryRun => "&dryRun=All",
    };
    let url = format!("{}/{name}?fieldManager={MANAGER}{dry_run}", K::url_path(&(), Some(namespace)));
    let request = Request::patch(url)
        .header(header::CONTENT_TYPE, "application/json-patch+json")
        .header(header::ACCEPT, METADATA_ONLY)
        .body(operations.to_string().into_bytes())
        .map_err(kube::Error::HttpError)?;
    // The metadata is of the same shape whatever the kind is.
    client.request::<PartialObjectMeta<Secret>>(request).await.map(drop)
}
