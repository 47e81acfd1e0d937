//! The volume claims of a database, and what is recorded on them. They may outlive their database and its workload, so they
//! carry what the next ones must know.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use pgops_api::{Postgres, names};
use pgops_kube::ApiError;

use crate::children::labels;

/// What is recorded on the claim of the data that a database finds when it has no workload: an earlier database of its name
/// was halted, or its StatefulSet was deleted by hand.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ExistingData {
    /// Whether it is an earlier database's, which was initialised with the password of that time.
    pub is_of_earlier_database: bool,
    /// The user that owns the data.
    pub run_as_user: Option<i64>,
    /// Uid of the Secret with the superuser's password that was created for the data.
    pub auth_secret_uid: Option<String>,
}

impl ExistingData {
    /// Looks for the claim of the first pod.
    pub async fn find(client: &Client, database: &Postgres) -> Result<Self, ApiError> {
        let name = database.name_any();
        let found = claims(client, &database.namespace().unwrap_or_default(), &name).await?;
        let first = names::claim(&name, 0);
        let claim = found.iter().find(|claim| claim.name.as_deref() == Some(first.as_str()));
        Ok(claim.map(|claim| Self::of(database, claim)).unwrap_or_default())
    }

    fn of(database: &Postgres, claim: &ObjectMeta) -> Self {
        let annotation = |key| claim.annotations.as_ref()?.get(key);
        Self {
            is_of_earlier_database: annotation(names::ANNOTATION_DATABASE_UID) != database.uid().as_ref(),
            run_as_user: annotation(names::ANNOTATION_RUN_AS_USER).and_then(|user| user.parse().ok()),
            auth_secret_uid: annotation(names::ANNOTATION_AUTH_SECRET_UID).cloned(),
        }
    }
}

/// A database's volume claims: by label and name, which are easily copied, and by the annotation that only its own
/// StatefulSet or that of an earlier database of its name has set. The latter holds this database's data, since that one
/// was halted.
pub async fn claims(client: &Client, namespace: &str, database: &str) -> Result<Vec<ObjectMeta>, ApiError> {
    let claims = volume_claims(client, namespace, database).await?;
    Ok(claims.into_iter().map(|claim| claim.metadata).collect())
}

/// The same, with their sizes.
pub async fn volume_claims(
    client: &Client,
    namespace: &str,
    database: &str,
) -> Result<Vec<PersistentVolumeClaim>, ApiError> {
    let selector: Vec<_> =
        labels(database).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    let params = ListParams::default().labels(&selector.join(","));
    let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let failed = ApiError::on::<PersistentVolumeClaim>("list", database);
    let found = api.list(&params).await.map_err(failed)?;
    Ok(found.items.into_iter().filter(|claim| is_claim_of(database, &claim.metadata)).collect())
}

fn is_claim_of(database: &str, claim: &ObjectMeta) -> bool {
    let parsed = claim.name.as_deref().and_then(names::parse_claim);
    let mut annotations = claim.annotations.iter().flatten();
    parsed.is_some_and(|(of, _)| of == database)
        && annotations.any(|(key, _)| key == names::ANNOTATION_DATABASE_UID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{claim, database};
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("data-orders-0", true)]
    #[case("data-orders-11", true)]
    #[case("data-orders-copy-0", false)]
    #[case("data-orders-", false)]
    #[case("data-orders-00", false)]
    #[case("backup-orders-0", false)]
    fn claims_of_other_databases_are_not_deleted(#[case] name: &str, #[case] expected: bool) {
        assert_eq!(is_claim_of("orders", &claim(name, true).metadata), expected);
        assert!(!is_claim_of("orders", &claim(name, false).metadata), "another user has copied the labels");
    }

    #[tokio::test]
    async fn existing_data_is_that_of_the_first_claim_of_the_name() {
        let server = FakeApiServer::new("demo");
        let database = database(json!({}));
        let client = server.client();
        let find = || ExistingData::find(&client, &database);
        assert_eq!(find().await.unwrap(), ExistingData::default(), "a new name");

        let annotated = |name: &str, is_annotated, user: &str, secret: &str| {
            let mut claim = claim(name, is_annotated);
            let annotations = claim.annotations_mut();
            annotations.insert(names::ANNOTATION_RUN_AS_USER.into(), user.into());
            annotations.insert(names::ANNOTATION_AUTH_SECRET_UID.into(), secret.into());
            claim
        };
        server.put(&annotated("data-orders-1", true, "999", "other"));
        assert_eq!(find().await.unwrap(), ExistingData::default());
        server.put(&annotated("data-orders-0", true, "70", "s-1"));
        let expected = ExistingData {
            is_of_earlier_database: true,
            run_as_user: Some(70),
            auth_secret_uid: Some("s-1".into()),
        };
        assert_eq!(find().await.unwrap(), expected);
        let mut own = annotated("data-orders-0", true, "70", "s-1");
        own.annotations_mut().insert(names::ANNOTATION_DATABASE_UID.into(), "5d1c".into());
        server.put(&own);
        assert!(!find().await.unwrap().is_of_earlier_database);
        server.put(&annotated("data-orders-0", false, "70", "s-1"));
        assert_eq!(find().await.unwrap(), ExistingData::default(), "the claim of another user");
    }
}
