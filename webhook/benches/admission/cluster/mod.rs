//! The objects of the cluster, as an API server stores them: with status, and with managedFields.

mod databases;
mod requests;
mod versions;

use serde_json::{Map, Value, json};

pub use databases::{database, database_name, databases};
pub use requests::{applied_request, requests};
pub use versions::versions;

/// Entries of the catalog.
pub const VERSIONS: usize = 2_000;
/// Databases.
pub const DATABASES: usize = 5_000;
/// Requests, which are done.
pub const REQUESTS: usize = 500;

/// The oldest version that a database has.
pub const OLDEST: &str = "10.1";
/// What a typical database has.
pub const CURRENT: &str = "13.16";
/// Where a typical request leads.
pub const NEXT_MAJOR: &str = "17.11";
/// The end of the catalog.
pub const NEWEST: &str = "18.23";
/// A database of the oldest version, which must go in steps.
pub const OLD_DATABASE: &str = "archive";

/// Every database is in this one: requests name databases of their own namespace.
const NAMESPACE: &str = "team-orders";
const CREATED: &str = "2026-03-14T09:26:53Z";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A condition that stands.
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

/// An entry of managedFields: who has written these parts of the object.
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

/// The names of all fields of a value, as managedFields has them; lists are owned as a whole.
fn owned(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    Value::Object(fields.map(|(name, value)| (format!("f:{name}"), owned(value))).collect())
}

/// A map of texts, such as labels.
fn texts(pairs: &[(&str, &str)]) -> Map<String, Value> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
}

/// Any uid will do that is of the right length and differs from others.
fn uid(kind: &str, name: &str) -> String {
    let hash = kind.bytes().chain(name.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{:08x}-5b0d-4f7e-9a6c-{:012x}", hash >> 32, hash & 0xffff_ffff_ffff)
}
