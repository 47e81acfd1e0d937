//! `PostgresVersion`, `catalog.kubedb.com/v1alpha1`: one entry of the catalog.

mod extension;
mod extension_rule;
mod function_name;

pub use extension::{ExtensionSpec, Preload, UpdateBeforeUpgrade};
pub use extension_rule::{ExtensionProblem, ExtensionRule, InvalidExtension, MAX_EXTENSIONS};
pub use function_name::{FunctionName, InvalidFunctionName};

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A version that databases can run, its image, and the versions they may be upgraded to from it.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "catalog.kubedb.com",
    version = "v1alpha1",
    kind = "PostgresVersion",
    plural = "postgresversions",
    singular = "postgresversion",
    shortname = "pgversion",
    category = "catalog",
    category = "kubedb",
    category = "appscode",
    derive = "PartialEq",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Distribution", type_ = "string", json_path = ".spec.distribution"),
    printcolumn(name = "DB_IMAGE", type_ = "string", json_path = ".spec.db.image"),
    printcolumn(name = "Deprecated", type_ = "boolean", json_path = ".spec.deprecated"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[schemars(transform = crate::schema::keep_unknown)]
#[serde(rename_all = "camelCase")]
pub struct PostgresVersionSpec {
    /// The version of `PostgreSQL`, such as `16.10`.
    #[schemars(length(min = 1))]
    pub version: String,
    /// Distribution of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// Image of the server.
    pub db: DatabaseImage,
    /// User that the server runs as.
    #[serde(default)]
    pub security_context: VersionSecurityContext,
    /// Admitted as a target, with a warning.
    #[serde(default)]
    pub deprecated: bool,
    /// Admitted as a target, with a warning: the `PostgreSQL` project no longer releases fixes for this major
    /// version.
    #[serde(default, rename = "endOfLife")]
    pub end_of_life: bool,
    /// Which versions a database may be upgraded to from this one.
    #[serde(default)]
    pub update_constraints: UpdateConstraints,
    /// What is known of extensions when a database is upgraded to this version, in addition to what pgops knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub extensions: Vec<ExtensionSpec>,
}

/// Image of the server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseImage {
    /// Reference of the image.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Family of the image's base system, such as `alpine`, `bookworm`, `debian`.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "baseOS")]
    pub base_os: Option<String>,
}

/// User that the server runs as.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionSecurityContext {
    /// Numeric user id of the server in the image: 70 in Alpine images, 999 in Debian images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    /// The image runs as any non-root user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_as_any_non_root: Option<bool>,
}

/// Lists of constraint strings; see [`crate::constraint`].
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct UpdateConstraints {
    /// A target must match one of these; an empty list allows every version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowlist: Vec<String>,
    /// A target must match none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denylist: Vec<String>,
}

/// The distributions of `KubeDB`'s API.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[allow(missing_docs, reason = "proper names")]
pub enum Distribution {
    Official,
    TimescaleDB,
    PostGIS,
    KubeDB,
    DocumentDB,
    PostgreSQL,
    Percona,
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// User id in the Debian images of the Docker library, the default of a catalog entry.
pub const DEFAULT_RUN_AS_USER: i64 = 999;

impl PostgresVersionSpec {
    /// The user id of a new database of this version.
    #[must_use]
    pub fn run_as_user(&self) -> i64 {
        self.security_context.run_as_user.unwrap_or(DEFAULT_RUN_AS_USER)
    }
}
