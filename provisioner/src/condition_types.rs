//! The types of the conditions that only the provisioner sets.

use pgops_api::postgres::CONDITION_AUTH_SECRET_MISSING;

/// Condition: the children match the spec; if not, why.
pub const CONDITION_PROVISIONING_STARTED: &str = "ProvisioningStarted";
/// Condition: the object was deleted and is kept, and why.
pub const CONDITION_DELETION_BLOCKED: &str = "DeletionBlocked";
/// Condition: the catalog names another image than the database has, and keeps.
pub const CONDITION_IMAGE_DIFFERS: &str = "ImageDiffersFromCatalog";
/// Condition: changes of the database take effect when its pod is restarted.
pub const CONDITION_RESTART_PENDING: &str = "RestartPending";
/// Condition: the volume is being expanded; if it is false, why it cannot be.
pub const CONDITION_STORAGE_RESIZING: &str = "StorageResizing";
/// Condition: the server rejects the password of the database's Secret.
pub const CONDITION_PASSWORD_MISMATCH: &str = "PasswordMismatch";
/// Condition: stopped as the spec requests.
pub const CONDITION_HALTED: &str = "Halted";
/// Condition: something of an initialised database needs an operator.
pub const CONDITION_DEGRADED: &str = "Degraded";
/// Condition: as `Ready`, by which `KubeDB`'s tools know it.
pub const CONDITION_REPLICA_READY: &str = "ReplicaReady";
/// Likewise.
pub const CONDITION_ACCEPTING: &str = "AcceptingConnection";

/// Conditions that report a problem, with the status that does.
pub const PROBLEMS: [(&str, &str); 7] = [
    (CONDITION_PROVISIONING_STARTED, "False"),
    (CONDITION_AUTH_SECRET_MISSING, "True"),
    (CONDITION_PASSWORD_MISMATCH, "True"),
    (CONDITION_STORAGE_RESIZING, "False"),
    (CONDITION_DELETION_BLOCKED, "True"),
    (CONDITION_IMAGE_DIFFERS, "True"),
    (CONDITION_RESTART_PENDING, "True"),
];
/// How many of [`PROBLEMS`] make a database [`CONDITION_DEGRADED`]: the others are states that were asked for.
pub const DEGRADING: usize = 4;
