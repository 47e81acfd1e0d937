//! The secret with a database's first password. It is made once and never read: the provisioner has
//! no right to see a password again.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use pgops_api::{Postgres, names};
use rand::distr::{Alphanumeric, SampleString};

use crate::apply::{ApiError, MANAGER, on};
use crate::children;

/// Letters and digits: 190 bits, and nothing that a connection string would have to quote.
const PASSWORD_LENGTH: usize = 32;

/// Makes the secret of a new database, unless it is there or the user named another.
///
/// A database that was initialised before has its password; another one would only be a lie.
pub async fn ensure(client: &Client, database: &Postgres) -> Result<(), ApiError> {
    let name = names::auth_secret(&database.name_any());
    if database.was_initialized() || database.auth_secret() != name {
        return Ok(());
    }
    let secret = secret(database, Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH));
    let api: Api<Secret> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    match api.create(&params, &secret).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        done => done.map(drop).map_err(on::<Secret>("create", &name)),
    }
}

/// It has no owner: it outlives its database, unless the deletion policy is `WipeOut`.
fn secret(database: &Postgres, password: String) -> Secret {
    let name = database.name_any();
    Secret {
        metadata: ObjectMeta {
            name: Some(names::auth_secret(&name)),
            namespace: database.namespace(),
            labels: Some(children::labels(&name)),
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
    use crate::design::tests::database;
    use serde_json::json;

    #[test]
    fn a_secret_outlives_its_database() {
        let secret = secret(&database(json!({})), "s3cret".into());
        assert_eq!(secret.metadata.owner_references, None);
        assert_eq!(secret.name_any(), "orders-auth");
        assert_eq!(secret.string_data.unwrap()["password"], "s3cret");
    }
}
