//! `Postgres`, `kubedb.com/v1` (served as `v1alpha2` too): one database.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use kube::{CustomResource, KubeSchema, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::local_ref::LocalRef;
use crate::members::MemberStatus;
use crate::plan::{parenthesized_uid, pause_owner_uid};
use crate::tls::{SslMode, TlsSpec};
use crate::topology::{StandbyMode, StreamingMode, Topology, TopologyError};
use crate::{Condition, PostgresOpsRequest, condition};

/// The validation error of a changed `spec.storageType`, explicit or by default.
pub const STORAGE_TYPE_IS_IMMUTABLE: &str =
    "storageType is immutable: the data would be left behind; create another database and copy the data";

/// The fields that pgops reads; the API server preserves all other fields of `KubeDB`'s API.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "kubedb.com",
    version = "v1",
    kind = "Postgres",
    plural = "postgreses",
    singular = "postgres",
    shortname = "pg",
    category = "datastore",
    category = "kubedb",
    category = "appscode",
    category = "all",
    namespaced,
    status = "PostgresStatus",
    derive = "PartialEq",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Pod", type_ = "string", json_path = ".status.server.pod", priority = 1),
    printcolumn(name = "Running", type_ = "string", json_path = ".status.server.version", priority = 1),
    printcolumn(name = "Storage", type_ = "string", json_path = ".status.server.storage", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
#[x_kube(validation = Rule::new("(self.?storageType.orValue('') == 'Ephemeral') == (oldSelf.?storageType.orValue('') == 'Ephemeral')")
    .message(STORAGE_TYPE_IS_IMMUTABLE)
    .field_path(".storageType")
    .reason(Reason::FieldValueForbidden))]
pub struct PostgresSpec {
    /// Name of a `PostgresVersion`. Later changes go through a `PostgresOpsRequest`.
    #[schemars(length(min = 1))]
    pub version: String,
    /// Number of servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub replicas: Option<i32>,
    /// Whether clients may read from standbys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standby_mode: Option<StandbyMode>,
    /// Whether a commit waits for a standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming_mode: Option<StreamingMode>,
    /// `Durable` (a volume claim per pod) or `Ephemeral` (an emptyDir).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_type: Option<StorageType>,
    /// The volume claim of each pod; required for `Durable`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::quantity::with_numbers"
    )]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub storage: Option<Box<PersistentVolumeClaimSpec>>,
    /// Secret with `username` and `password`; `<name>-auth` is created if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<LocalRef>,
    /// Secret whose key `user.conf` holds `PostgreSQL` settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_secret: Option<LocalRef>,
    /// Settings of the server that are in the object itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// How clients authenticate; `md5` accepts SCRAM verifiers too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth_mode: Option<ClientAuthMode>,
    /// Whether connections use TLS; `verify-full` if `tls` is set, else `disable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_mode: Option<SslMode>,
    /// Certificates for TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// What is kept when the object is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "terminationPolicy")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Stops the database and keeps its data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halted: Option<bool>,
    /// Resources of the database's container, and arguments for initdb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub pod_template: Option<serde_json::Value>,
}

/// Settings of the server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct Configuration {
    /// Settings under the key `user.conf`, which take precedence over those of `configSecret`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inline: BTreeMap<String, String>,
    /// The newer name of `configSecret.name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}

/// Where the data is stored.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum StorageType {
    /// A volume claim per pod.
    #[default]
    Durable,
    /// An emptyDir, deleted with its pod; such a database cannot be upgraded.
    Ephemeral,
}

/// How clients authenticate.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthMode {
    /// md5 and SCRAM verifiers are accepted.
    Md5,
    /// SCRAM verifiers only.
    Scram,
    /// Client certificates.
    Cert,
}

/// What is kept when a `Postgres` is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// Volume claims and Secrets are kept.
    Halt,
    /// Volume claims are deleted, Secrets are kept.
    #[default]
    Delete,
    /// Everything is deleted.
    WipeOut,
    /// The object cannot be deleted.
    DoNotTerminate,
}

/// State of a database.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct PostgresStatus {
    /// The state of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<PostgresPhase>,
    /// The generation of the spec that the status applies to: that of the last spec that was built, or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `ProvisioningStarted`, `ReplicaReady`, `AcceptingConnection`, `Ready`, `Provisioned`, `Halted`,
    /// `Paused`, `Degraded`, `RestartPending`, `StorageResizing` and others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The server, for people. Written as null if there is none, so that a merge patch removes it.
    #[serde(default)]
    pub server: Option<ServerStatus>,
    /// The servers of a database with standbys, for people. Written as null if there are none, so that a merge patch removes them.
    #[serde(default)]
    pub members: Option<Vec<MemberStatus>>,
}

/// The server of a database, as its pod reports it. Nothing is decided by it: `KubeDB`'s definition of the kind prunes it.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// Name of its pod.
    pub pod: String,
    /// The version that it reports.
    #[serde(default)]
    pub version: Option<String>,
    /// How much of its volume is in use, such as `312Mi of 1Gi`.
    #[serde(default)]
    pub storage: Option<String>,
}

/// The phases of a database in `KubeDB`'s API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum PostgresPhase {
    /// Being created.
    Provisioning,
    /// Being restored from a backup.
    DataRestoring,
    /// All servers answer.
    Ready,
    /// The primary answers, a standby does not.
    Critical,
    /// The primary does not answer.
    NotReady,
    /// Stopped by its owner; the data is kept.
    Halted,
    /// Not known.
    Unknown,
}

impl PostgresPhase {
    /// All phases.
    pub const ALL: [Self; 7] = [
        Self::Provisioning,
        Self::DataRestoring,
        Self::Ready,
        Self::Critical,
        Self::NotReady,
        Self::Halted,
        Self::Unknown,
    ];
}

impl std::fmt::Display for PostgresPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// Condition by which the provisioner leaves the database alone; its message names the request that paused
/// it, see [`UpgradePlan::pause_message`](crate::UpgradePlan::pause_message).
pub const CONDITION_PAUSED: &str = "Paused";
/// Condition that is set once the first server has answered.
pub const CONDITION_PROVISIONED: &str = "Provisioned";
/// Condition: the primary answers queries.
pub const CONDITION_READY: &str = "Ready";
/// Condition that is set when the provisioner creates the Secret `<name>-auth`; its message has the Secret's uid, see
/// [`auth_secret_message`]. A Secret of that name with another uid is not deleted with the database.
pub const CONDITION_AUTH_SECRET: &str = "AuthSecretCreated";

/// Condition: the Secret with the superuser's password does not exist, so no pod of the database, and no worker, can start.
pub const CONDITION_AUTH_SECRET_MISSING: &str = "AuthSecretMissing";

/// Condition: a pod that takes the place of the present one would not be created, or would not start, and why. It is false or missing
/// if nothing is known to prevent that.
pub const CONDITION_RESTART_BLOCKED: &str = "RestartBlocked";

/// Condition: the certificates that `spec.tls` requests exist and can be used; if it is false, why not.
pub const CONDITION_CERTIFICATES_READY: &str = "CertificatesReady";
/// Reason of [`CONDITION_CERTIFICATES_READY`]: the server keeps an earlier certificate, and could not be started with what is in
/// the Secret now.
pub const REASON_CERTIFICATE_INVALID: &str = "CertificateInvalid";

/// The message of [`CONDITION_AUTH_SECRET`].
#[must_use]
pub fn auth_secret_message(secret: &str, uid: &str) -> String {
    format!("Secret {secret} (uid {uid}) was created for this database")
}

impl Postgres {
    /// The path of one at the API server.
    #[must_use]
    pub fn path(namespace: &str, name: &str) -> String {
        format!("{}/{name}", Self::url_path(&(), Some(namespace)))
    }

    /// The conditions; none before the first status.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    /// The phase; `Unknown` before the first status.
    #[must_use]
    pub fn phase(&self) -> PostgresPhase {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or(PostgresPhase::Unknown)
    }

    /// The condition `Paused`, if it is true.
    #[must_use]
    pub fn paused(&self) -> Option<&Condition> {
        condition::find(self.conditions(), CONDITION_PAUSED).filter(|paused| paused.is_true())
    }

    /// Why it could not be started again once it is stopped, as the provisioner found out; unless an annotation overrides that.
    #[must_use]
    pub fn restart_blocked(&self) -> Option<&str> {
        let blocked =
            condition::find(self.conditions(), CONDITION_RESTART_BLOCKED).filter(|it| it.is_true())?;
        (!self.overrides_guards()).then(|| blocked.message.as_deref().unwrap_or("no reason given"))
    }

    /// Whether this request paused it.
    #[must_use]
    pub fn is_paused_by(&self, request: &PostgresOpsRequest) -> bool {
        let owner = self.paused().and_then(|paused| pause_owner_uid(paused.message.as_deref()?));
        owner.is_some() && owner == request.metadata.uid.as_deref()
    }

    /// Whether a server ever ran on this object's volume, which must then never be initialised again.
    #[must_use]
    pub fn was_initialized(&self) -> bool {
        let annotated = |annotations: &BTreeMap<String, String>| {
            annotations.contains_key(crate::names::ANNOTATION_INITIALIZED)
        };
        self.metadata.annotations.as_ref().is_some_and(annotated)
            || condition::find(self.conditions(), CONDITION_PROVISIONED).is_some()
    }

    /// Uid of the Secret with the first password, if the provisioner created one for this object.
    #[must_use]
    pub fn created_auth_secret(&self) -> Option<&str> {
        let created = condition::find(self.conditions(), CONDITION_AUTH_SECRET).filter(|it| it.is_true())?;
        parenthesized_uid(created.message.as_deref()?)
    }

    /// Whether an annotation overrides the guards of admission.
    #[must_use]
    pub fn overrides_guards(&self) -> bool {
        crate::names::overrides_guards(self.metadata.annotations.as_ref())
    }

    /// Where the data is stored.
    #[must_use]
    pub fn storage_type(&self) -> StorageType {
        self.spec.storage_type.unwrap_or_default()
    }

    /// What is kept when the object is deleted.
    #[must_use]
    pub fn deletion_policy(&self) -> DeletionPolicy {
        self.spec.deletion_policy.unwrap_or_default()
    }

    /// The desired number of servers.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    /// Whether a commit waits for a standby.
    #[must_use]
    pub fn streaming_mode(&self) -> StreamingMode {
        self.spec.streaming_mode.unwrap_or_default()
    }

    /// The desired servers.
    pub fn topology(&self) -> Result<Topology, TopologyError> {
        Topology::new(self.replicas(), self.streaming_mode())
    }

    /// The settings of the server that are in the object itself.
    #[must_use]
    pub fn inline_settings(&self) -> &str {
        let inline = self.spec.configuration.as_ref().and_then(|it| it.inline.get(crate::names::USER_CONF));
        inline.map_or("", String::as_str)
    }

    /// Name of the Secret with settings, under its newer or its older name. An empty name counts as none.
    #[must_use]
    pub fn settings_secret(&self) -> Option<&str> {
        let newer = self.spec.configuration.as_ref().and_then(|it| it.secret_name.as_deref());
        let older = self.spec.config_secret.as_ref().map(|secret| secret.name.as_str());
        [newer, older].into_iter().flatten().find(|name| !name.is_empty())
    }

    /// The settings that its server is to check for the request that holds it.
    #[must_use]
    pub fn candidate_settings(&self) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(crate::names::ANNOTATION_CANDIDATE).map(String::as_str)
    }

    /// Name of the Secret with the superuser's name and password.
    #[must_use]
    pub fn auth_secret(&self) -> String {
        match &self.spec.auth_secret {
            Some(secret) if !secret.name.is_empty() => secret.name.clone(),
            _ => crate::names::auth_secret(self.metadata.name.as_deref().unwrap_or_default()),
        }
    }
}
