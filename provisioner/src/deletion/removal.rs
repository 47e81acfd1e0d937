//! Removes what belongs to a deleted database, and nothing that only has the name of it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client, Resource, ResourceExt};
use pgops_api::postgres::DeletionPolicy;
use pgops_api::{Owner, Postgres, names};
use pgops_kube::{ApiError, patch};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::announcement::Announcement;
use crate::claims::claims;
use crate::condition_types::REASON_DELETING;
use crate::context::patch_params;

/// How far the removal of a database is.
#[derive(Debug, Default)]
pub struct Removal {
    /// Whether nothing is left to remove.
    pub is_complete: bool,
    /// What was done just now.
    pub announcements: Vec<Announcement>,
}

impl Removal {
    fn waits(announcement: Option<Announcement>) -> Self {
        Self { is_complete: false, announcements: announcement.into_iter().collect() }
    }
}

/// Removes what the policy names; it is not complete as long as the workload exists.
///
/// The servers go first, so that they shut down cleanly while everything that they use exists, and so that a
/// volume claim that is kept is free once the object is deleted.
pub async fn remove(
    client: &Client,
    database: &Postgres,
    workload: Option<&StatefulSet>,
    policy: DeletionPolicy,
) -> Result<Removal, ApiError> {
    let name = database.name_any();
    let namespace = database.namespace().unwrap_or_default();
    if let Some(workload) = workload.filter(|workload| Owner::of(database).owns(&workload.metadata)) {
        if workload.metadata.deletion_timestamp.is_none() {
            if policy == DeletionPolicy::Halt && !claims_outlive(client, database, workload).await? {
                return Ok(Removal::default());
            }
            tracing::info!(namespace, database = name, ?policy, "stopping the servers of a deleted database");
            let foreground = DeleteParams::foreground();
            delete::<StatefulSet>(client, &namespace, &workload.metadata, foreground).await?;
            let note =
                format!("the Postgres was deleted: its server is stopped; spec.deletionPolicy is {policy:?}");
            return Ok(Removal::waits(Some(Announcement::normal(REASON_DELETING, note))));
        }
        return Ok(Removal::default());
    }
    let mut announcements = Vec::new();
    let claims = claims(client, &namespace, &name).await?;
    if matches!(policy, DeletionPolicy::Halt | DeletionPolicy::DoNotTerminate) {
        announcements.extend(about_claims("ClaimKept", &claims, "kept for the next Postgres of that name"));
    } else {
        announcements.extend(about_claims("ClaimDeleted", &claims, "deleted, and the data with them"));
        for claim in claims {
            let claim_name = claim.name.as_deref();
            tracing::info!(
                namespace,
                database = name,
                claim = claim_name,
                "deleting the volume claim of a deleted database"
            );
            delete::<PersistentVolumeClaim>(client, &namespace, &claim, DeleteParams::default()).await?;
        }
    }
    let secret = database.auth_secret();
    announcements.push(
        if policy == DeletionPolicy::WipeOut && delete_auth_secret(client, &namespace, database).await? {
            Announcement::normal("SecretDeleted", format!("Secret {secret} was deleted"))
        } else {
            Announcement::normal("SecretKept", format!("Secret {secret}, if it exists, is kept"))
        },
    );
    Ok(Removal { is_complete: true, announcements })
}

/// One Event for all claims, if there are any.
fn about_claims(reason: &str, claims: &[ObjectMeta], what: &str) -> Option<Announcement> {
    let names: Vec<_> = claims.iter().filter_map(|claim| claim.name.as_deref()).collect();
    (!names.is_empty())
        .then(|| Announcement::normal(reason, format!("volume claims {} are {what}", names.join(", "))))
}

/// Whether the claims stay when the workload is deleted. A user may have set that they do not, while the database was
/// paused: it is set back, and the StatefulSet controller then gives them up, so that the garbage collector keeps them.
async fn claims_outlive(
    client: &Client,
    database: &Postgres,
    workload: &StatefulSet,
) -> Result<bool, ApiError> {
    let namespace = database.namespace().unwrap_or_default();
    let policy = workload.spec.as_ref().and_then(|it| it.persistent_volume_claim_retention_policy.as_ref());
    if policy.and_then(|policy| policy.when_deleted.as_deref()) == Some("Delete") {
        let workloads: Api<StatefulSet> = Api::namespaced(client.clone(), &namespace);
        let retain = json!({ "whenDeleted": "Retain" });
        let change = json!({ "spec": { "persistentVolumeClaimRetentionPolicy": retain } });
        patch::patch(&workloads, "retain the claims of", workload, &patch_params(), change).await?;
        return Ok(false);
    }
    let owner = Owner::of(workload);
    Ok(!claims(client, &namespace, &database.name_any()).await?.iter().any(|claim| owner.owns(claim)))
}

/// Deletes the Secret that was created for the database. Another one of its name was made by a user, or for an earlier
/// database of that name: it is kept, and `false` returned.
async fn delete_auth_secret(client: &Client, namespace: &str, database: &Postgres) -> Result<bool, ApiError> {
    let secret = names::auth_secret(&database.name_any());
    if let Some(uid) = database.created_auth_secret() {
        let created =
            ObjectMeta { name: Some(secret.clone()), uid: Some(uid.to_owned()), ..ObjectMeta::default() };
        if delete::<Secret>(client, namespace, &created, DeleteParams::default()).await? {
            return Ok(true);
        }
    }
    let database = database.name_any();
    tracing::info!(
        namespace,
        database,
        secret,
        "kept a Secret of that name, if any: it was not made for the database"
    );
    Ok(false)
}

/// Deletes exactly this object; `false` if another one has its name by now.
async fn delete<K>(
    client: &Client,
    namespace: &str,
    object: &ObjectMeta,
    params: DeleteParams,
) -> Result<bool, ApiError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let name = object.name.as_deref().unwrap_or_default();
    let params = params.preconditions(Preconditions { uid: object.uid.clone(), resource_version: None });
    match api.delete(name, &params).await.map_err(ApiError::on::<K>("delete", name)) {
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) if error.is_not_found() => Ok(true),
        result => result.map(|_| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{claim, database, version, workload};
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;

    fn secret(uid: &str) -> Secret {
        let mut secret = Secret::default();
        secret.metadata.name = Some("orders-auth".to_owned());
        secret.metadata.uid = Some(uid.to_owned());
        secret
    }

    /// A database for which the Secret with that uid was created.
    fn with_secret(uid: Option<&str>) -> Postgres {
        let mut database = serde_json::to_value(database(json!({}))).unwrap();
        let message = uid.map(|uid| pgops_api::postgres::auth_secret_message("orders-auth", uid));
        database["status"]["conditions"] = message.iter().map(|message| json!({
            "type": "AuthSecretCreated", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
            "message": message,
        })).collect();
        serde_json::from_value(database).unwrap()
    }

    #[rstest]
    #[case::its_own(Some("1"), "1", false)]
    #[case::recreated_by_a_user(Some("1"), "2", true)]
    #[case::never_its_own(None, "1", true)]
    #[tokio::test]
    async fn wipe_out_deletes_only_the_secret_that_was_created(
        #[case] created: Option<&str>,
        #[case] existing: &str,
        #[case] is_kept: bool,
    ) {
        let server = FakeApiServer::new("demo");
        server.put(&secret(existing));
        let database = with_secret(created);
        assert!(
            remove(&server.client(), &database, None, DeletionPolicy::WipeOut).await.unwrap().is_complete
        );
        assert_eq!(server.get::<Secret>("orders-auth").is_some(), is_kept);
    }

    #[tokio::test]
    async fn wipe_out_keeps_claims_of_other_users() {
        let server = FakeApiServer::new("demo");
        server.put(&claim("data-orders-0", true));
        server.put(&claim("data-orders-7", false));
        server.put(&secret("1"));
        let database = with_secret(Some("1"));
        let removal = remove(&server.client(), &database, None, DeletionPolicy::Delete).await.unwrap();
        assert!(removal.is_complete);
        let reasons: Vec<_> = removal.announcements.iter().map(|it| it.reason.as_str()).collect();
        assert_eq!(reasons, ["ClaimDeleted", "SecretKept"]);
        let left: Vec<_> = server.all::<PersistentVolumeClaim>().iter().map(ResourceExt::name_any).collect();
        assert_eq!(left, ["data-orders-7"]);
        assert!(server.get::<Secret>("orders-auth").is_some(), "Delete keeps the Secret");
    }

    #[tokio::test]
    async fn halt_deletes_the_workload_only_once_the_claims_outlive_it() {
        let server = FakeApiServer::new("demo");
        let mut workload = workload(&version("13.16", "13.16", None));
        workload.metadata.uid = Some("w".to_owned());
        let policy = json!({ "whenDeleted": "Delete" });
        workload.spec.as_mut().unwrap().persistent_volume_claim_retention_policy =
            serde_json::from_value(policy).unwrap();
        server.put(&workload);
        let mut claim = claim("data-orders-0", true);
        claim.metadata.owner_references = serde_json::from_value(json!([
            { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" },
        ]))
        .unwrap();
        server.put(&claim);
        let database = with_secret(None);
        let halt = async || {
            let workload = server.get::<StatefulSet>("orders");
            let removed =
                remove(&server.client(), &database, workload.as_ref(), DeletionPolicy::Halt).await.unwrap();
            let reasons: Vec<_> = removed.announcements.into_iter().map(|it| it.reason).collect();
            (removed.is_complete, server.get::<StatefulSet>("orders").is_some(), reasons.join(" "))
        };
        let nothing = String::new;
        assert_eq!(halt().await, (false, true, nothing()), "the policy is set back");
        assert_eq!(halt().await, (false, true, nothing()), "the claim still belongs to the workload");
        server.change::<PersistentVolumeClaim>("data-orders-0", |it| {
            it["metadata"]["ownerReferences"] = json!([]);
        });
        assert_eq!(halt().await, (false, false, "Deleting".to_owned()));
        assert_eq!(halt().await, (true, false, "ClaimKept SecretKept".to_owned()));
        assert!(server.get::<PersistentVolumeClaim>("data-orders-0").is_some());
    }

    #[tokio::test]
    async fn foreign_workload_is_not_deleted() {
        let server = FakeApiServer::new("demo");
        let mut workload = StatefulSet::default();
        workload.metadata.name = Some("orders".to_owned());
        server.put(&workload);
        let workload = server.get::<StatefulSet>("orders");
        let removed =
            remove(&server.client(), &with_secret(None), workload.as_ref(), DeletionPolicy::WipeOut).await;
        assert!(removed.unwrap().is_complete);
        assert!(server.get::<StatefulSet>("orders").is_some());
    }
}
