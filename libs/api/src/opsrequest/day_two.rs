//! The fields of the day-two operations. What pgops does not act on is preserved by the API server.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::local_ref::LocalRef;
use crate::quantity;

/// Requests and limits to change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct VerticalScaling {
    /// Those of the server's container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<ContainerScaling>,
}

/// The new requests and limits of a container.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct ContainerScaling {
    /// They replace the present ones as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::with_numbers")]
    #[schemars(schema_with = "crate::schema::open_object")]
    pub resources: Option<ResourceRequirements>,
}

/// The volume to enlarge.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct VolumeExpansion {
    /// `Online` expands the file system while the server runs, if the volume's driver can; `Offline` restarts the server
    /// if the driver needs that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<ExpansionMode>,
    /// The new size of the volume, such as `20Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "quantity::text_or_number")]
    #[schemars(schema_with = "crate::schema::quantity")]
    pub postgres: Option<String>,
}

/// Whether the server may be restarted to expand its volume.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ExpansionMode {
    /// The server runs on.
    #[default]
    Online,
    /// The server is restarted if its volume's driver expands the file system only then.
    Offline,
}

/// The settings to change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct Reconfiguration {
    /// The Secret that becomes `spec.configSecret` of the database. Settings of earlier requests are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_secret: Option<LocalRef>,
    /// Settings under the key `user.conf`, which are merged into those of earlier requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apply_config: BTreeMap<String, String>,
    /// Removes `spec.configSecret` and the settings of earlier requests first.
    #[serde(default)]
    pub remove_custom_config: bool,
    /// Whether the server is restarted: `auto` (if a setting needs it), `true` or `false`.
    #[serde(default)]
    pub restart: RestartMode,
}

/// The password to change.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct Authentication {
    /// A Secret with the new password. pgops generates one instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

/// Whether a server is restarted for its new settings.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestartMode {
    /// If a setting takes effect only then.
    #[default]
    Auto,
    /// In any case.
    True,
    /// Not by this request.
    False,
}
