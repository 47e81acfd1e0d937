//! The Secret with what the servers of a database know each other by: the passwords for streaming and rewinding, and the certificate
//! of Patroni's REST API. As that of the superuser, it is created once and never read.

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use pgops_api::tls::{AUTHORITY_KEY, CERTIFICATE_KEY, PRIVATE_KEY_KEY};
use pgops_api::{Owner, Postgres, names};
use pgops_kube::{ApiError, status};
use serde_json::json;

use crate::apply::{ApplyError, MANAGER};
use crate::build_error::BuildError;
use crate::children::metadata;
use crate::context::patch_params;
use crate::secret::new_password;
use crate::standby_certificate::{StandbyCertificate, generate};

/// Creates the Secret, unless it exists. Pods mount it, so one of another owner is not used.
pub async fn ensure(client: &Client, database: &Postgres) -> Result<(), ApplyError> {
    let name = names::ha(&database.name_any());
    let api: Api<Secret> = Api::namespaced(client.clone(), &database.namespace().unwrap_or_default());
    let owner = Owner::of(database);
    // For the metadata: the provisioner reads no passwords.
    let params = PatchParams { dry_run: true, ..patch_params() };
    match api.patch_metadata(&name, &params, &Patch::Merge(json!({}))).await {
        Ok(found) if owner.owns(&found.metadata) => return Ok(()),
        Ok(_) => return Err(BuildError::Taken(owner.foreign::<Secret>(name)).into()),
        Err(error) if status::is_not_found(&error) => {}
        Err(error) => return Err(ApiError::on::<Secret>("look up", name)(error).into()),
    }
    let certificate = generate(database, Timestamp::now()).map_err(BuildError::StandbyCertificate)?;
    let secret = secret(database, certificate, [new_password(), new_password()]);
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    api.create(&params, &secret).await.map_err(ApiError::on::<Secret>("create", name))?;
    Ok(())
}

/// Deleted with the database: its next one of that name sets other passwords for the same data.
fn secret(database: &Postgres, certificate: StandbyCertificate, passwords: [String; 2]) -> Secret {
    let StandbyCertificate { authority, certificate, key } = certificate;
    let [replication, rewind] = passwords;
    let data = [
        (names::REPLICATION_PASSWORD, replication),
        (names::REWIND_PASSWORD, rewind),
        (CERTIFICATE_KEY, certificate),
        (PRIVATE_KEY_KEY, key),
        (AUTHORITY_KEY, authority),
    ];
    Secret {
        metadata: metadata(database, names::ha(&database.name_any())),
        type_: Some(names::SECRET_TYPE_HA.to_owned()),
        string_data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use pgops_testing::fake_api_server::FakeApiServer;
    use std::collections::BTreeSet;

    fn stored(server: &FakeApiServer) -> Option<Secret> {
        server.get::<Secret>("orders-ha")
    }

    #[tokio::test]
    async fn secret_is_created_once_with_different_passwords() {
        let server = FakeApiServer::new("demo");
        let database = database(json!({ "replicas": 3 }));
        ensure(&server.client(), &database).await.unwrap();
        let first = stored(&server).unwrap();
        assert!(Owner::of(&database).owns(&first.metadata));
        let data = first.string_data.clone().unwrap();
        let keys: Vec<_> = data.keys().map(String::as_str).collect();
        assert_eq!(keys, ["ca.crt", "replication-password", "rewind-password", "tls.crt", "tls.key"]);
        assert_eq!(data.values().collect::<BTreeSet<_>>().len(), 5);
        ensure(&server.client(), &database).await.unwrap();
        assert_eq!(stored(&server).unwrap().string_data, first.string_data);
    }

    #[tokio::test]
    async fn secret_of_another_owner_is_not_used() {
        let server = FakeApiServer::new("demo");
        let database = database(json!({ "replicas": 3 }));
        let mut foreign = Secret::default();
        foreign.metadata.name = Some("orders-ha".to_owned());
        foreign.metadata.namespace = Some("demo".to_owned());
        server.put(&foreign);
        let error = ensure(&server.client(), &database).await.unwrap_err().to_string();
        assert!(error.starts_with("Secret orders-ha does not belong to Postgres orders"), "{error}");
        assert_eq!(stored(&server).unwrap().string_data, None);
    }
}
