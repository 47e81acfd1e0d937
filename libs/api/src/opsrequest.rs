//! `PostgresOpsRequest`, `ops.kubedb.com/v1alpha1`: one operation on one database.

mod day_two;
mod operation;
mod status;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{ANNOTATION_CANCEL, ANNOTATION_RESUME};
use crate::plan::Scope;
use crate::{Condition, condition};
pub use day_two::{
    Authentication, ContainerScaling, ExpansionMode, Reconfiguration, RestartMode, VerticalScaling,
    VolumeExpansion,
};
pub use operation::{DayTwo, RequestType};
use status::ACKNOWLEDGED;
pub use status::{
    CONDITION_ACKNOWLEDGED, CONDITION_DRY_RUN, CONDITION_FAILED, CONDITION_OUTAGE, CONDITION_SUCCESSFUL,
    CONDITION_WAITING, NOT_PROVISIONED, Phase, PostgresOpsRequestStatus, acknowledged_message,
};

/// The validation error of a request with two different targets.
pub const CONFLICTING_TARGETS: &str = "this is a deprecated alias of spec.updateVersion, and the two name different targets: keep only spec.updateVersion";

/// The operation and its database. Immutable once created. The API server preserves the fields of operations that pgops
/// does not execute.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "ops.kubedb.com",
    version = "v1alpha1",
    kind = "PostgresOpsRequest",
    plural = "postgresopsrequests",
    singular = "postgresopsrequest",
    shortname = "pgops",
    category = "ops",
    category = "kubedb",
    category = "appscode",
    namespaced,
    status = "PostgresOpsRequestStatus",
    derive = "PartialEq",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "From", type_ = "string", json_path = ".status.from"),
    printcolumn(name = "To", type_ = "string", json_path = ".spec.updateVersion.targetVersion"),
    printcolumn(name = "Step", type_ = "string", json_path = ".status.step"),
    printcolumn(name = "Outage", type_ = "string", json_path = ".status.outage"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
#[x_kube(
    validation = Rule::new("self == oldSelf")
        .message("spec is immutable: create a new PostgresOpsRequest instead")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!(self.type in ['UpdateVersion', 'Upgrade']) || has(self.updateVersion) || has(self.upgrade)")
        .message("`spec.updateVersion` nil not supported in UpdateVersion type: name the PostgresVersion to move to in spec.updateVersion.targetVersion")
        .field_path(".updateVersion")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.updateVersion) || !has(self.upgrade) || self.updateVersion.targetVersion == self.upgrade.targetVersion")
        .message(CONFLICTING_TARGETS)
        .field_path(".upgrade")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.type != 'VerticalScaling' || has(self.verticalScaling)")
        .message("`spec.verticalScaling` nil not supported in VerticalScaling type: set the new requests and limits in spec.verticalScaling.postgres.resources")
        .field_path(".verticalScaling")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("self.type != 'VolumeExpansion' || has(self.volumeExpansion)")
        .message("`spec.volumeExpansion` nil not supported in VolumeExpansion type: set the new size in spec.volumeExpansion.postgres")
        .field_path(".volumeExpansion")
        .reason(Reason::FieldValueRequired),
    validation = Rule::new("self.type != 'Reconfigure' || has(self.configuration)")
        .message("`spec.configuration` nil not supported in Reconfigure type: name a Secret in spec.configuration.configSecret, or set settings in spec.configuration.applyConfig")
        .field_path(".configuration")
        .reason(Reason::FieldValueRequired),
)]
pub struct PostgresOpsRequestSpec {
    /// The database, in the request's own namespace.
    pub database_ref: DatabaseRef,
    /// What to do. pgops acts on `UpdateVersion`, `Restart`, `VerticalScaling`, `VolumeExpansion`,
    /// `Reconfigure` and `RotateAuth`.
    #[serde(rename = "type")]
    pub type_: RequestType,
    /// The version to move to; required for `UpdateVersion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_version: Option<UpdateVersion>,
    /// Deprecated alias of `updateVersion`, used with type `Upgrade`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpdateVersion>,
    /// The new requests and limits; required for `VerticalScaling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertical_scaling: Option<VerticalScaling>,
    /// The new size of the volume; required for `VolumeExpansion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_expansion: Option<VolumeExpansion>,
    /// The new settings; required for `Reconfigure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Reconfiguration>,
    /// The new password, for `RotateAuth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Time limit of one step, as a Go duration such as `5m` or `1h30m`; no limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    // A duration of more than 292 years is an error of CEL.
    #[schemars(length(max = 64))]
    #[x_kube(
        validation = ("self.matches('^([0-9]+(\\\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$')", "timeout must be a Go duration such as \"5m\" or \"1h30m\""),
        validation = ("!self.matches('^([0-9]+(\\\\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$') || self.matches('^([0-9]{1,5}(\\\\.[0-9]+)?h|[0-9]{1,7}(\\\\.[0-9]+)?m|[0-9]{1,9}(\\\\.[0-9]+)?(ns|us|µs|ms|s))+$')", "timeout is too long: at most 5 digits of hours, 7 of minutes or 9 of a smaller unit"),
        validation = ("!self.matches('^([0-9]{1,5}(\\\\.[0-9]+)?h|[0-9]{1,7}(\\\\.[0-9]+)?m|[0-9]{1,9}(\\\\.[0-9]+)?(ns|us|µs|ms|s))+$') || duration(self) >= duration('1s')", "timeout is too short for any step: set at least \"1s\""),
    )]
    pub timeout: Option<String>,
    /// Whether the database must be Ready for the operation to start.
    #[serde(default)]
    pub apply: Apply,
    /// How often a failed step is retried before the operation is rolled back.
    #[serde(default = "one")]
    #[schemars(range(min = 0))]
    pub max_retries: i32,
}

fn one() -> i32 {
    1
}

/// Reference to a `Postgres` in the same namespace.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct DatabaseRef {
    /// Name of the `Postgres` object.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// The version to move to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVersion {
    /// Name of a `PostgresVersion` object, which need not be a version number.
    #[schemars(length(min = 1))]
    pub target_version: String,
}

/// When the operation may start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Apply {
    /// Only while the database is Ready.
    #[default]
    IfReady,
    /// In any phase of the database.
    Always,
}

/// The command with which an operator resumes a failed request.
#[must_use]
pub fn resume_command(namespace: &str, request: &str) -> String {
    format!("kubectl annotate pgops {request} -n {namespace} {ANNOTATION_RESUME}=true")
}

/// Whether a request uses the deprecated type `Upgrade` or the deprecated field `upgrade`.
#[must_use]
pub fn is_deprecated_form(type_: RequestType, has_upgrade: bool) -> bool {
    type_ == RequestType::Upgrade || (type_ == RequestType::UpdateVersion && has_upgrade)
}

impl PostgresOpsRequestSpec {
    /// The requests and limits that the server is to have.
    #[must_use]
    pub fn server_resources(&self) -> Option<&ResourceRequirements> {
        self.vertical_scaling.as_ref()?.postgres.as_ref()?.resources.as_ref()
    }

    /// The size that the volume is to have.
    #[must_use]
    pub fn volume_size(&self) -> Option<&str> {
        self.volume_expansion.as_ref()?.postgres.as_deref()
    }

    /// Whether the server may be restarted to expand its volume.
    #[must_use]
    pub fn expansion_mode(&self) -> ExpansionMode {
        self.volume_expansion.as_ref().and_then(|it| it.mode).unwrap_or_default()
    }

    /// Whether the server is restarted for its new settings.
    #[must_use]
    pub fn restart_mode(&self) -> RestartMode {
        self.configuration.as_ref().map(|it| it.restart).unwrap_or_default()
    }
}

impl PostgresOpsRequest {
    /// The phase; `Pending` before the first status.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending)
    }

    /// The conditions; none before the first status.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    /// Name of the database's `PostgresVersion` when the request was acknowledged.
    #[must_use]
    pub fn from_version(&self) -> Option<&str> {
        let acknowledged = condition::find(self.conditions(), CONDITION_ACKNOWLEDGED);
        let in_condition = acknowledged.and_then(|it| it.message.as_deref()?.strip_prefix(ACKNOWLEDGED));
        // A request of an earlier release has no such condition.
        in_condition.or_else(|| self.status.as_ref()?.from.as_deref())
    }

    /// The whole upgrade or a dry run, as decided when the request started.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match condition::find(self.conditions(), CONDITION_DRY_RUN) {
            Some(condition) if condition.is_true() => Scope::DryRun,
            _ => Scope::Upgrade,
        }
    }

    /// Whether the request may still change its database.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.spec.type_.is_executed() && !self.phase().is_terminal()
    }

    /// Whether the user cancelled it with the annotation `pgops.dev/cancel`.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.has_true(ANNOTATION_CANCEL)
    }

    /// Whether an operator asked to resume it after it failed, with the annotation `pgops.dev/carry-on`.
    #[must_use]
    pub fn wants_resume(&self) -> bool {
        self.has_true(ANNOTATION_RESUME)
    }

    fn has_true(&self, annotation: &str) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        annotations.and_then(|all| all.get(annotation)).is_some_and(|value| value == "true")
    }

    /// Whether pgops changes the database's version by the request, which may use the deprecated form.
    #[must_use]
    pub fn updates_version(&self) -> bool {
        self.spec.type_.updates_version()
    }

    /// Whether pgops executes the request.
    #[must_use]
    pub fn is_executed(&self) -> bool {
        self.spec.type_.is_executed()
    }

    /// The day-two operation of the request, if it is one.
    #[must_use]
    pub fn day_two(&self) -> Option<DayTwo> {
        self.spec.type_.day_two()
    }

    /// See [`is_deprecated_form`].
    #[must_use]
    pub fn uses_deprecated_form(&self) -> bool {
        is_deprecated_form(self.spec.type_, self.spec.upgrade.is_some())
    }

    /// Name of the target `PostgresVersion`, if the request changes the version, from either field.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        let update = self.spec.update_version.as_ref().or(self.spec.upgrade.as_ref());
        let update = update.filter(|_| self.updates_version());
        update.map(|update| update.target_version.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(status: &serde_json::Value) -> PostgresOpsRequest {
        serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": { "name": "orders-17" },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn source_version_survives_without_the_field_of_the_status() {
        let time = "2026-11-20T10:00:00Z";
        let acknowledged = |version: &str| {
            json!({ "type": "Acknowledged", "status": "True", "lastTransitionTime": time,
                "message": acknowledged_message(version) })
        };
        let pruned = json!({ "phase": "Pending", "conditions": [acknowledged("13.16-bookworm")] });
        assert_eq!(request(&pruned).from_version(), Some("13.16-bookworm"));
        assert_eq!(request(&json!({ "from": "13.16" })).from_version(), Some("13.16"));
        assert_eq!(request(&json!({ "phase": "Pending" })).from_version(), None);
    }

    #[test]
    fn schema_stores_fields_of_other_operations() {
        let crd = serde_json::to_value(<PostgresOpsRequest as kube::CustomResourceExt>::crd()).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(spec["x-kubernetes-preserve-unknown-fields"], true);
        let types = spec["properties"]["type"].to_string();
        for name in ["StorageMigration", "SetRaftKeyPair", "ReconnectStandby", "ForceFailOver", "Upgrade"] {
            assert!(types.contains(name), "{name} in {types}");
        }
    }
}
