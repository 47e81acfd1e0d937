//! The types of the conditions that only the provisioner sets.

use pgops_api::postgres::{
    CONDITION_AUTH_SECRET_MISSING, CONDITION_CERTIFICATES_READY, CONDITION_RESTART_BLOCKED,
};

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
/// Condition: the volume is lost when the pod stops.
pub const CONDITION_VOLUME_AT_RISK: &str = "VolumeAtRisk";
/// Condition: the server rejects the password of the database's Secret.
pub const CONDITION_PASSWORD_MISMATCH: &str = "PasswordMismatch";
/// Condition: the server would not start with the settings that it has now, or with those of the Secret that the spec newly names;
/// of these it is unknown while they cannot be checked, and false while they are being checked.
pub const CONDITION_SETTINGS_REJECTED: &str = "SettingsRejected";
/// Condition: the certificate that the server uses expires soon, and was not renewed.
pub const CONDITION_CERTIFICATE_EXPIRING: &str = "CertificateExpiring";
/// Condition: stopped as the spec requests.
pub const CONDITION_HALTED: &str = "Halted";
/// Condition: something of an initialised database needs an operator.
pub const CONDITION_DEGRADED: &str = "Degraded";
/// Condition: as `Ready`, by which `KubeDB`'s tools know it.
pub const CONDITION_REPLICA_READY: &str = "ReplicaReady";
/// Likewise.
pub const CONDITION_ACCEPTING: &str = "AcceptingConnection";

/// Reason of [`CONDITION_SETTINGS_REJECTED`]: the Secret that the spec newly names is not used.
pub const REASON_SECRET_REJECTED: &str = "SecretRejected";
/// Likewise, as long as it cannot be checked.
pub const REASON_NOT_CHECKED: &str = "SettingsNotChecked";
/// Likewise, while it is being checked.
pub const REASON_BEING_CHECKED: &str = "SettingsBeingChecked";
/// The reasons that a check of a Secret gives.
pub const REASONS_OF_CHECK: [&str; 3] = [REASON_SECRET_REJECTED, REASON_NOT_CHECKED, REASON_BEING_CHECKED];

/// Reason of [`CONDITION_PASSWORD_MISMATCH`]: no server can be started with the Secret.
pub const REASON_CREDENTIALS_UNUSABLE: &str = "CredentialsUnusable";

/// Reason of missing readiness, and of the Event about the begin of a removal: the object was deleted.
pub const REASON_DELETING: &str = "Deleting";

/// Reason of missing readiness: another client has scaled the workload to 0.
pub const REASON_SCALED_DOWN: &str = "ScaledDown";

/// Conditions that report a problem, with the status that does.
pub const PROBLEMS: [(&str, &str); 13] = [
    (CONDITION_VOLUME_AT_RISK, "True"),
    (CONDITION_PROVISIONING_STARTED, "False"),
    (CONDITION_AUTH_SECRET_MISSING, "True"),
    (CONDITION_PASSWORD_MISMATCH, "True"),
    (CONDITION_STORAGE_RESIZING, "False"),
    (CONDITION_SETTINGS_REJECTED, "True"),
    (CONDITION_SETTINGS_REJECTED, "Unknown"),
    (CONDITION_CERTIFICATES_READY, "False"),
    (CONDITION_CERTIFICATE_EXPIRING, "True"),
    (CONDITION_RESTART_BLOCKED, "True"),
    (CONDITION_DELETION_BLOCKED, "True"),
    (CONDITION_IMAGE_DIFFERS, "True"),
    (CONDITION_RESTART_PENDING, "True"),
];
/// How many of [`PROBLEMS`] make a database [`CONDITION_DEGRADED`]: the others are states that were asked for.
pub const DEGRADING: usize = 10;
