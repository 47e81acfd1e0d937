//! The secret with a database's first password. It is created once and never read: the provisioner has
//! no permission to read passwords.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use pgops_api::{Postgres, names};
use pgops_kube::ApiError;
use rand::distr::{Alphanumeric, SampleString};

use crate::apply::MANAGER;
use crate::children::labels;

/// Letters and digits: 190 bits, and no character that must be quoted in a connection string.
const PASSWORD_LENGTH: usize = 32;

/// Creates the secret of a new database, unless it exists or the user has named another one.
///
/// A database that was initialised before has its password already; a secret with another one would be wrong.
pub async fn ensure(client: &Client, database: &Postgres) -> Result<(), ApiError> {
    let name = names::auth_secret(&database.name_any());
    if database.was_initialized() || database.auth_secret() != name {
        return Ok(());
    }
    let secret = secret(database, Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH));
    let api: Api<Secret> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, &secret).await.map_err(ApiError::on::<Secret>("create", name)) {
        Err(error) if error.is_already_exists() => Ok(()),
        result => result.map(drop),
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
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        string_data: Some(
            [("username".to_owned(), "postgres".to_owned()), ("password".to_owned(), password)].into(),
        ),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use serde_json::json;

    #[test]
    fn secret_outlives_its_database() {
        let secret = secret(&database(json!({})), "s3cret".into());
        assert_eq!(secret.metadata.owner_references, None);
        assert_eq!(secret.name_any(), "orders-auth");
        assert_eq!(secret.string_data.unwrap()["password"], "s3cret");
    }
}
