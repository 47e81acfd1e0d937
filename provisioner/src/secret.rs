//! The secret with a database's first password. It is created once and never read: the provisioner has
//! no permission to read passwords. Whether it exists is found out by a dry run of a patch without changes. Its uid is in the
//! database's status, and on the claim of the data, which may outlive the database: so a Secret of the same name that another
//! user made is not deleted with the database.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgops_api::postgres::{CONDITION_AUTH_SECRET, auth_secret_message};
use pgops_api::{Condition, Postgres, condition, names};
use pgops_kube::{ApiError, patch, status};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::json;

use crate::apply::MANAGER;
use crate::children::{labels, not_pruned};
use crate::claims::ExistingData;
use crate::context::patch_params;
use crate::observation::AuthSecret;

/// Letters and digits: 190 bits, and no character that must be quoted in a connection string.
const PASSWORD_LENGTH: usize = 32;
/// The superuser's name in the Secret that pgops creates, and so in the certificate by which it authenticates.
pub const SUPERUSER: &str = "postgres";

/// Creates the secret of a new database, unless it exists or the user has named another one.
///
/// A database that was initialised before has its password already; a secret with another one would be wrong.
///
/// The data of an earlier database has the password of that time too: if its Secret does not exist any more, none is created,
/// and the condition `AuthSecretMissing` says so.
///
/// A Secret of that name that exists already is used. It belongs to the database if it was created for the data that the
/// database finds.
pub async fn ensure(client: &Client, database: &mut Postgres, data: &ExistingData) -> Result<(), ApiError> {
    let name = names::auth_secret(&database.name_any());
    if database.was_initialized() || database.auth_secret() != name {
        return Ok(());
    }
    if data.is_of_earlier_database && look_up(client, database).await != AuthSecret::Present {
        return Ok(());
    }
    let secret = secret(database, new_password());
    let api: Api<Secret> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, &secret).await.map_err(ApiError::on::<Secret>("create", name)) {
        Err(error) if error.is_already_exists() => {
            // Without a record another user has made it.
            if let Some(uid) = &data.auth_secret_uid
                && database.created_auth_secret().is_none()
            {
                *database = record(client, database, uid).await?;
            }
        }
        created => *database = record(client, database, &created?.uid().unwrap_or_default()).await?,
    }
    Ok(())
}

/// A random password.
pub fn new_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH)
}

/// Whether the Secret with the superuser's password exists: the database's own, or the one that its user has named.
pub async fn look_up(client: &Client, database: &Postgres) -> AuthSecret {
    exists(client, database, &database.auth_secret()).await
}

/// Whether a Secret exists in the namespace of the database.
pub async fn exists(client: &Client, database: &Postgres, name: &str) -> AuthSecret {
    let api: Api<Secret> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let params = PatchParams { dry_run: true, ..patch_params() };
    // Not a creation: an exhausted quota is noticed before the Secret. For the metadata: the provisioner reads no passwords.
    match api.patch_metadata(name, &params, &Patch::Merge(json!({}))).await {
        Ok(_) => AuthSecret::Present,
        Err(error) => by_failure(&error),
    }
}

/// What the failure of a change says about the existence of its object.
fn by_failure(error: &kube::Error) -> AuthSecret {
    if status::is_not_found(error) {
        AuthSecret::Missing
    } else if status::is_unauthorized(error) || status::is_unavailable(error) {
        AuthSecret::Unknown
    } else if status::is_refused(error) || status::is_conflict(error) {
        // Policies and webhooks, the chart's among them, see the Secret that would be changed.
        AuthSecret::Present
    } else {
        AuthSecret::Unknown
    }
}

/// Records the uid of the Secret that was created for the database or its data. It cannot be found out later, so a conflict
/// with another client's write is resolved here.
async fn record(client: &Client, database: &Postgres, uid: &str) -> Result<Postgres, ApiError> {
    let name = database.name_any();
    let databases: Api<Postgres> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let message = auth_secret_message(&names::auth_secret(&name), uid);
    loop {
        let current = databases.get(&name).await.map_err(ApiError::on::<Postgres>("read", name.as_str()))?;
        let mut conditions = current.conditions().to_vec();
        let now = Time(Timestamp::now());
        condition::set(
            &mut conditions,
            Condition::new(CONDITION_AUTH_SECRET, "True", "Created", message.clone(), now),
        );
        let change = json!({ "status": { "conditions": conditions } });
        match patch::patch_status(&databases, "write the status of", &current, &patch_params(), change).await
        {
            Err(error) if error.is_conflict() => {}
            written => return written,
        }
    }
}

/// The secret has no owner: it outlives its database, unless the deletion policy is `WipeOut`.
fn secret(database: &Postgres, password: String) -> Secret {
    let name = database.name_any();
    Secret {
        metadata: ObjectMeta {
            name: Some(names::auth_secret(&name)),
            namespace: database.namespace(),
            labels: Some(labels(&name)),
            annotations: Some(not_pruned()),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        string_data: Some(
            [("username".to_owned(), SUPERUSER.to_owned()), ("password".to_owned(), password)].into(),
        ),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use kube::core::Status;
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;

    #[test]
    fn secret_outlives_its_database() {
        let secret = secret(&database(json!({})), "s3cret".into());
        assert_eq!(secret.metadata.owner_references, None);
        assert_eq!(secret.name_any(), "orders-auth");
        assert_eq!(secret.string_data.unwrap()["password"], "s3cret");
    }

    #[test]
    fn secret_is_not_pruned_by_tools_that_take_the_labels_for_theirs() {
        let annotations = secret(&database(json!({})), "s3cret".into()).metadata.annotations.unwrap();
        assert_eq!(annotations["argocd.argoproj.io/sync-options"], "Prune=false");
        assert_eq!(annotations["argocd.argoproj.io/compare-options"], "IgnoreExtraneous");
    }

    #[tokio::test]
    async fn secret_is_looked_up_without_creating_it() {
        let server = FakeApiServer::new("demo");
        let named = database(json!({ "authSecret": { "name": "theirs" } }));
        let own = database(json!({}));
        assert_eq!(look_up(&server.client(), &own).await, AuthSecret::Missing);
        assert_eq!(server.all::<Secret>(), []);
        server.put(&secret(&own, "s3cret".into()));
        assert_eq!(look_up(&server.client(), &own).await, AuthSecret::Present);
        assert_eq!(look_up(&server.client(), &named).await, AuthSecret::Missing);
    }

    #[tokio::test]
    async fn secret_is_looked_up_although_a_quota_or_a_policy_refuses_to_write_it() {
        let server = FakeApiServer::new("demo");
        let own = database(json!({}));
        server.refuse_to_create::<Secret>(Some("exceeded quota: no-secrets"));
        server.refuse_to_change::<Secret>(Some("denied by a policy"));
        assert_eq!(look_up(&server.client(), &own).await, AuthSecret::Missing);
        server.put(&secret(&own, "s3cret".into()));
        assert_eq!(look_up(&server.client(), &own).await, AuthSecret::Present);
    }

    #[rstest]
    #[case::no_right(
        403,
        "secrets \"a\" is forbidden: User \"p\" cannot patch resource \"secrets\" in API group \"\""
    )]
    #[case::internal_error(500, "etcdserver: request timed out")]
    #[case::busy(429, "too many requests")]
    fn nothing_is_known_of_a_secret_that_may_not_be_looked_up(#[case] code: u16, #[case] message: &str) {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        assert_eq!(by_failure(&kube::Error::Api(Box::new(status))), AuthSecret::Unknown);
    }

    #[tokio::test]
    async fn secret_of_a_halted_database_belongs_to_the_next_one_with_its_data() {
        let server = FakeApiServer::new("demo");
        server.put(&database(json!({})));
        let mut halted = server.get::<Postgres>("orders").unwrap();
        ensure(&server.client(), &mut halted, &ExistingData::default()).await.unwrap();
        let uid = halted.created_auth_secret().unwrap().to_owned();
        let password =
            || server.get::<Secret>("orders-auth").unwrap().string_data.unwrap()["password"].clone();
        let of_halted = password();

        server.put(&database(json!({})));
        let mut next = server.get::<Postgres>("orders").unwrap();
        assert_eq!(next.created_auth_secret(), None);
        let data = ExistingData {
            is_of_earlier_database: true,
            auth_secret_uid: Some(uid.clone()),
            ..ExistingData::default()
        };
        ensure(&server.client(), &mut next, &data).await.unwrap();
        assert_eq!(next.created_auth_secret(), Some(uid.as_str()));
        assert_eq!(password(), of_halted, "the data knows no other one");
    }

    #[tokio::test]
    async fn no_new_password_is_made_for_the_data_of_an_earlier_database() {
        let server = FakeApiServer::new("demo");
        server.put(&database(json!({})));
        let mut next = server.get::<Postgres>("orders").unwrap();
        let data = ExistingData { is_of_earlier_database: true, ..ExistingData::default() };
        ensure(&server.client(), &mut next, &data).await.unwrap();
        assert_eq!((server.all::<Secret>(), next.created_auth_secret()), (vec![], None));
    }

    #[tokio::test]
    async fn uid_of_a_created_secret_is_recorded_and_that_of_a_foreign_one_is_not() {
        let server = FakeApiServer::new("demo");
        let stored = |server: &FakeApiServer| server.get::<Postgres>("orders").unwrap();
        server.put(&database(json!({})));
        let mut new = stored(&server);
        ensure(&server.client(), &mut new, &ExistingData::default()).await.unwrap();
        let uid = server.get::<Secret>("orders-auth").unwrap().metadata.uid;
        assert!(uid.is_some());
        assert_eq!(new.created_auth_secret(), uid.as_deref());
        assert_eq!(new.metadata.resource_version, stored(&server).metadata.resource_version);

        // The status was written meanwhile.
        let server = FakeApiServer::new("demo");
        server.put(&database(json!({})));
        let mut outdated = stored(&server);
        server.change::<Postgres>("orders", |it| it["status"]["phase"] = json!("Provisioning"));
        ensure(&server.client(), &mut outdated, &ExistingData::default()).await.unwrap();
        assert!(stored(&server).created_auth_secret().is_some());

        let foreign = FakeApiServer::new("demo");
        foreign.put(&database(json!({})));
        foreign.put(&secret(&database(json!({})), "theirs".into()));
        let mut new = stored(&foreign);
        ensure(&foreign.client(), &mut new, &ExistingData::default()).await.unwrap();
        assert_eq!(stored(&foreign).created_auth_secret(), None);
        assert_eq!(foreign.get::<Secret>("orders-auth").unwrap().string_data.unwrap()["password"], "theirs");
    }
}
