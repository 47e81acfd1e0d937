//! The objects of the cluster as an API server stores them, with status and managedFields.

mod databases;
mod requests;
mod versions;

use serde_json::{Map, Value, json};

pub use databases::{database, database_name, databases};
pub use requests::{applied_request, requests};
pub use versions::versions;

/// Number of catalog entries.
pub const VERSIONS: usize = 2_000;
/// Number of databases.
pub const DATABASES: usize = 5_000;
/// Number of requests, all completed.
pub const REQUESTS: usize = 500;

/// The oldest version of a database.
pub const OLDEST: &str = "10.1";
/// The version of a typical database.
pub const CURRENT: &str = "13.16";
/// The target of a typical request.
pub const NEXT_MAJOR: &str = "17.11";
/// The newest version of the catalog.
pub const NEWEST: &str = "18.23";
/// A database of the oldest version, which needs several upgrades to the newest.
pub const OLD_DATABASE: &str = "archive";

/// The namespace of all databases and requests: a request names a database of its own namespace.
const NAMESPACE: &str = "team-orders";
const CREATED: &str = "2026-03-14T09:26:53Z";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A condition that is true.
fn condition(type_: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": type_,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": CREATED,
        "observedGeneration": 1,
    })
}

/// An entry of managedFields: the manager of these fields.
fn managed(manager: &str, parts: &Value) -> Value {
    json!({
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": CREATED,
        "fieldsType": "FieldsV1",
        "fieldsV1": owned(parts),
    })
}

/// The names of all fields of a value in the format of managedFields; lists are owned as a whole.
fn owned(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (format!("f:{name}"), owned(value))).collect())
}

/// A map of strings, such as labels.
fn texts(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

/// A uid of the right length, unique per object.
fn uid(kind: &str, name: &str) -> String {
    let hash = kind.bytes().chain(name.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-5b0d-4f7e-9a6c-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}
