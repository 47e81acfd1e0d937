//! Makes the volume claim of a database as large as its spec requests.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::PatchParams;
use kube::{Api, ResourceExt};
use pgops_api::postgres::StorageType;
use pgops_api::{Postgres, names};
use pgops_kube::{ApiError, patch};
use serde_json::{Value, json};

use crate::claims::volume_claims;
use crate::context::{Context, patch_params};
use crate::expansion::{self, Expansion};

/// Raises the request of the volume claim, or lowers one that failed, unless the database is paused, and reports how far the
/// expansion is.
pub async fn expand(context: &Context, database: &Postgres) -> Result<Option<Expansion>, ApiError> {
    if database.storage_type() == StorageType::Ephemeral {
        return Ok(Some(Expansion::Done));
    }
    let Some(requested) = expansion::requested(database) else { return Ok(None) };
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    let Some((mut claim, class)) = claim_and_class(context, database).await? else { return Ok(None) };
    let first = claim.name_any();
    if let Some(size) = expansion::lowered(requested, &claim) {
        if database.paused().is_some() {
            return Ok(None);
        }
        match resize(context, database, "lower the request of", &claim, &size).await {
            Ok(lowered) => claim = lowered,
            Err(error) if error.is_refused() => {
                return Ok(Some(expansion::lowering_refused(requested, &claim, &error.cause())));
            }
            Err(error) => return Err(error),
        }
        tracing::info!(
            namespace,
            database = name,
            claim = first,
            size,
            "lowered the request of the volume claim"
        );
    }
    let expansion = expansion::decide(requested, &claim, class.as_ref());
    let Expansion::Raise(size) = &expansion else { return Ok(Some(expansion)) };
    if database.paused().is_some() {
        return Ok(None);
    }
    match resize(context, database, "expand", &claim, size).await {
        Ok(claim) => {
            tracing::info!(namespace, database = name, claim = first, size, "expanding the volume claim");
            Ok(Some(expansion::decide(requested, &claim, class.as_ref())))
        }
        Err(error) if error.is_refused() => Ok(Some(expansion::refused(requested, &claim, &error.cause()))),
        Err(error) => Err(error),
    }
}

async fn resize(
    context: &Context,
    database: &Postgres,
    verb: &'static str,
    claim: &PersistentVolumeClaim,
    size: &str,
) -> Result<PersistentVolumeClaim, ApiError> {
    patch::patch(&claims(context, database), verb, claim, &patch_params(), size_change(size)).await
}

fn size_change(size: &str) -> Value {
    json!({ "spec": { "resources": { "requests": { "storage": size } } } })
}

/// What would become of the volume claim if the database requested that size: a dry run asks the API server, since a quota or a
/// policy may refuse what the class of the claim allows.
pub async fn preview_expansion(
    context: &Context,
    database: &Postgres,
    size: &str,
) -> Result<Option<Expansion>, ApiError> {
    let Some((claim, class)) = claim_and_class(context, database).await? else { return Ok(None) };
    let expansion = expansion::decide(size, &claim, class.as_ref());
    if !matches!(expansion, Expansion::Raise(_)) {
        return Ok(Some(expansion));
    }
    let params = PatchParams { dry_run: true, ..patch_params() };
    let change = size_change(size);
    match patch::patch(&claims(context, database), "ask about the size of", &claim, &params, change).await {
        Ok(_) => Ok(Some(expansion)),
        Err(error) if error.is_refused() => Ok(Some(expansion::refused(size, &claim, &error.cause()))),
        Err(error) => Err(error),
    }
}

/// The volume claim of the first pod, and its class.
async fn claim_and_class(
    context: &Context,
    database: &Postgres,
) -> Result<Option<(PersistentVolumeClaim, Option<StorageClass>)>, ApiError> {
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    let claims = volume_claims(&context.client, &namespace, &name).await?;
    let first = names::claim(&name, 0);
    let Some(claim) = claims.into_iter().find(|claim| claim.name_any() == first) else { return Ok(None) };
    let class = class(context, &claim).await?;
    Ok(Some((claim, class)))
}

/// The class of a claim, if it exists.
async fn class(context: &Context, claim: &PersistentVolumeClaim) -> Result<Option<StorageClass>, ApiError> {
    let Some(name) = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()) else {
        return Ok(None);
    };
    if name.is_empty() {
        return Ok(None);
    }
    let classes: Api<StorageClass> = Api::all(context.client.clone());
    classes.get_opt(name).await.map_err(ApiError::on::<StorageClass>("read", name))
}

fn claims(context: &Context, database: &Postgres) -> Api<PersistentVolumeClaim> {
    Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, claim, database};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use pgops_api::Condition;
    use pgops_api::postgres::{CONDITION_PAUSED, PostgresStatus};
    use pgops_testing::fake_api_server::FakeApiServer;

    fn parse<K: serde::de::DeserializeOwned>(object: Value) -> K {
        serde_json::from_value(object).unwrap()
    }

    /// A claim of 1Gi whose class allows expansion.
    fn put_claim(server: &FakeApiServer) {
        let mut small = claim("data-orders-0", true);
        small.spec = parse(json!({
            "storageClassName": "fast", "resources": { "requests": { "storage": "1Gi" } },
        }));
        small.status = parse(json!({ "phase": "Bound", "capacity": { "storage": "1Gi" } }));
        server.put(&small);
        let class = json!({
            "metadata": { "name": "fast" }, "provisioner": "p", "allowVolumeExpansion": true,
        });
        server.put(&parse::<StorageClass>(class));
    }

    #[tokio::test]
    async fn size_that_the_api_server_would_refuse_is_known_before_anything_is_changed() {
        let server = FakeApiServer::new("demo");
        put_claim(&server);
        let context = fixtures::context(&server);
        let database = database(json!({}));
        let before = server.version();
        let preview = preview_expansion(&context, &database, "2Gi").await.unwrap();
        assert_eq!(preview, Some(Expansion::Raise("2Gi".to_owned())));
        server.refuse_to_change::<PersistentVolumeClaim>(Some("exceeded quota: q"));
        let preview = preview_expansion(&context, &database, "2Gi").await.unwrap();
        let Some(Expansion::Blocked(state)) = preview else { panic!("{preview:?}") };
        assert_eq!(state.reason, "ExpansionRefused");
        assert!(state.to_string().contains("exceeded quota: q"), "{state}");
        assert_eq!(server.version(), before, "nothing is stored");
    }

    #[tokio::test]
    async fn claim_is_expanded_unless_the_database_is_paused() {
        let server = FakeApiServer::new("demo");
        put_claim(&server);
        let mut larger =
            database(json!({ "storage": { "resources": { "requests": { "storage": "2Gi" } } } }));
        let requested = || {
            let spec = server.get::<PersistentVolumeClaim>("data-orders-0").unwrap().spec.unwrap();
            spec.resources.unwrap().requests.unwrap()["storage"].0.clone()
        };
        let context = fixtures::context(&server);

        let now = Time(Timestamp::UNIX_EPOCH);
        let pause = Condition::new(CONDITION_PAUSED, "True", "Paused", "paused by r (uid 1)", now);
        larger.status = Some(PostgresStatus { conditions: vec![pause], ..PostgresStatus::default() });
        assert_eq!(expand(&context, &larger).await.unwrap(), None);
        assert_eq!(requested(), "1Gi");
        larger.status = None;
        let expansion = expand(&context, &larger).await.unwrap();
        assert!(matches!(expansion, Some(Expansion::InProgress(_))), "{expansion:?}");
        assert_eq!(requested(), "2Gi");
    }

    #[tokio::test]
    async fn request_of_a_failed_expansion_is_lowered_with_the_spec() {
        let server = FakeApiServer::new("demo");
        let mut failed = claim("data-orders-0", true);
        failed.spec = parse(json!({ "resources": { "requests": { "storage": "100Ti" } } }));
        failed.status = parse(json!({
            "phase": "Bound", "capacity": { "storage": "1Gi" },
            "conditions": [{ "type": "ControllerResizeError", "status": "True", "message": "quota exceeded" }],
        }));
        server.put(&failed);
        let requested = || {
            let spec = server.get::<PersistentVolumeClaim>("data-orders-0").unwrap().spec.unwrap();
            spec.resources.unwrap().requests.unwrap()["storage"].0.clone()
        };
        let context = fixtures::context(&server);
        server.refuse_to_change::<PersistentVolumeClaim>(Some("an old API server"));
        let refused = expand(&context, &database(json!({}))).await.unwrap();
        let Some(Expansion::Blocked(state)) = refused else { panic!("{refused:?}") };
        assert!(state.to_string().contains("still requests 100Ti"), "{state}");
        server.refuse_to_change::<PersistentVolumeClaim>(None);
        let lowered = expand(&context, &database(json!({}))).await.unwrap();
        assert_eq!((requested().as_str(), lowered), ("1025Mi", Some(Expansion::Done)));
    }
}
