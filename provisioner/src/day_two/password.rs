//! Changes the password in a database's Secret, without reading it: the API server moves it from one key to another, and answers
//! with the metadata alone.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Patch;
use kube::{Api, ResourceExt};
use pgops_api::{Postgres, names};
use pgops_kube::ApiError;
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};

use crate::context::{Context, patch_params};
use crate::metadata_patch::{self, Effect};
use crate::secret::new_password;

/// Letters and digits of an identification.
const ID_LENGTH: usize = 16;

/// What became of a change that names a password by its identification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    Made,
    /// The Secret does not have that password there: an earlier attempt has made the change, or another client has removed it.
    NotApplicable,
}

/// Writes a new password for the server next to the present one; returns its identification.
pub async fn propose(context: &Context, database: &Postgres) -> Result<String, ApiError> {
    let id = Alphanumeric.sample_string(&mut rand::rng(), ID_LENGTH);
    let data = json!({ names::NEXT_PASSWORD: new_password(), names::NEXT_PASSWORD_ID: id });
    // What an earlier request may have left.
    let removed = json!({ names::WITHDRAWN_PASSWORD_ID: null });
    let secret = own_secret(database);
    let secrets: Api<Secret> =
        Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default());
    // Exactly the Secret that was created, and not one that a user has made instead.
    let created = json!({ "uid": database.created_auth_secret() });
    let patch = Patch::Merge(json!({ "metadata": created, "stringData": data, "data": removed }));
    let patched = secrets.patch_metadata(&secret, &patch_params(), &patch).await;
    patched.map_err(ApiError::on::<Secret>("propose a password in", secret))?;
    Ok(id)
}

/// Makes the password with this identification the present one, and keeps the present one as the previous: in one write, which the
/// API server refuses if the Secret has another next password, or none.
pub async fn promote(context: &Context, database: &Postgres, id: &str) -> Result<Change, ApiError> {
    for key in [names::NEXT_PASSWORD_ID, names::WITHDRAWN_PASSWORD_ID] {
        if change(context, database, "change the password in", &promotion(key, id)).await? == Change::Made {
            return Ok(Change::Made);
        }
    }
    Ok(Change::NotApplicable)
}

/// Hides the password with this identification from the instance, and keeps it.
pub async fn withdraw(context: &Context, database: &Postgres, id: &str) -> Result<Change, ApiError> {
    change(context, database, "withdraw the next password in", &withdrawal(id)).await
}

/// Removes a password that was withdrawn.
pub async fn discard(context: &Context, database: &Postgres, id: &str) -> Result<Change, ApiError> {
    change(context, database, "remove the next password in", &removal(id)).await
}

/// Never one that `spec.authSecret` names: it may be another database's.
fn own_secret(database: &Postgres) -> String {
    names::auth_secret(&database.name_any())
}

fn promotion(id_key: &str, id: &str) -> Value {
    json!([
        test(id_key, id),
        { "op": "copy", "from": path(names::PASSWORD), "path": path(names::PREVIOUS_PASSWORD) },
        { "op": "move", "from": path(names::NEXT_PASSWORD), "path": path(names::PASSWORD) },
        { "op": "remove", "path": path(id_key) },
    ])
}

fn withdrawal(id: &str) -> Value {
    json!([
        test(names::NEXT_PASSWORD_ID, id),
        { "op": "move", "from": path(names::NEXT_PASSWORD_ID), "path": path(names::WITHDRAWN_PASSWORD_ID) },
    ])
}

fn removal(id: &str) -> Value {
    json!([
        test(names::WITHDRAWN_PASSWORD_ID, id),
        { "op": "remove", "path": path(names::NEXT_PASSWORD) },
        { "op": "remove", "path": path(names::WITHDRAWN_PASSWORD_ID) },
    ])
}

fn path(key: &str) -> String {
    format!("/data/{key}")
}

fn test(id_key: &str, id: &str) -> Value {
    json!({ "op": "test", "path": path(id_key), "value": ByteString(id.as_bytes().to_vec()) })
}

async fn change(
    context: &Context,
    database: &Postgres,
    verb: &'static str,
    changes: &Value,
) -> Result<Change, ApiError> {
    let secret = own_secret(database);
    let namespace = database.namespace().unwrap_or_default();
    let sent =
        metadata_patch::send::<Secret>(&context.client, &namespace, &secret, Effect::Stored, changes).await;
    match sent.map_err(ApiError::on::<Secret>(verb, secret)) {
        Ok(()) => Ok(Change::Made),
        Err(error) if error.is_inapplicable_patch() => Ok(Change::NotApplicable),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys and values of a Secret after a change; none if it does not apply.
    fn changed(secret: &Value, changes: Value) -> Option<Value> {
        let mut object = json!({ "data": secret });
        let patch: json_patch::Patch = serde_json::from_value(changes).unwrap();
        json_patch::patch(&mut object, &patch).ok()?;
        Some(object["data"].take())
    }

    fn proposed() -> Value {
        let id = ByteString(b"a".to_vec());
        json!({ "password": "old", "password.next": "new", "password.next-id": id })
    }

    #[test]
    fn password_becomes_the_present_one_once() {
        let promoted = changed(&proposed(), promotion(names::NEXT_PASSWORD_ID, "a")).unwrap();
        assert_eq!(promoted, json!({ "password": "new", "password.prev": "old" }));
        assert_eq!(changed(&promoted, promotion(names::NEXT_PASSWORD_ID, "a")), None);
        assert_eq!(changed(&proposed(), promotion(names::NEXT_PASSWORD_ID, "b")), None, "another request's");
    }

    #[test]
    fn password_that_is_withdrawn_is_kept_until_it_is_removed_or_becomes_the_present_one() {
        let withdrawn = changed(&proposed(), withdrawal("a")).unwrap();
        let id = ByteString(b"a".to_vec());
        assert_eq!(
            withdrawn,
            json!({ "password": "old", "password.next": "new", "password.withdrawn-id": id })
        );
        assert_eq!(changed(&withdrawn, withdrawal("a")), None);
        assert_eq!(changed(&withdrawn, removal("a")), Some(json!({ "password": "old" })));
        assert_eq!(changed(&withdrawn, removal("b")), None);
        let promoted = changed(&withdrawn, promotion(names::WITHDRAWN_PASSWORD_ID, "a")).unwrap();
        assert_eq!(promoted, json!({ "password": "new", "password.prev": "old" }));
        assert_eq!(changed(&proposed(), removal("a")), None, "the instance may be giving it to the server");
    }
}
