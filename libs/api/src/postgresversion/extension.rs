//! `spec.extensions` of a `PostgresVersion`: what is known of extensions when a database is upgraded to this version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of an extension. It supplements what pgops knows by itself: a field that is set here takes precedence.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtensionSpec {
    /// Name of the extension, as in `CREATE EXTENSION`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// What the servers that an upgrade starts need its library for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload: Option<Preload>,
    /// The library that `preload` is about, if it has another name than the extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub library: Option<String>,
    /// Function of the extension that completes its update, such as `upgrade` or `ledger.upgrade`. After the upgrade it is run
    /// without arguments and as superuser in each database that has the extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub update_function: Option<String>,
    /// If the target rejects its objects: the extension has no data of its own, and may be dropped before the upgrade and
    /// created afterwards. pgops only recommends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<bool>,
    /// The version that databases must have updated it to before the upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_before_upgrade: Option<UpdateBeforeUpgrade>,
    /// Constraint on the extension's version, such as `< 2.5`: a database with a matching one is not upgraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub not_carried: Option<String>,
    /// What an operator is to do if something is found about the extension, with an address to read on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub instructions: Option<String>,
}

/// What the servers that an upgrade starts need the extension's library in `shared_preload_libraries` for: `Restore` (its
/// functions cannot be created without), `Data` (nor can the old server open what it stores) or `Never`. They preload only
/// what the database itself does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Preload {
    /// Nothing: it loads at any time, or has no functions. Some of these write statistics of the run when a server stops,
    /// which would replace the user's.
    Never,
    /// Its functions cannot be created without.
    Restore,
    /// Nor can the old server open what it stores: it provides access methods or resource managers.
    Data,
}

/// The version that the extension must have before the upgrade: `Newest` (the default version of the serving image) or
/// `SameAsTarget` (one that the target image installs too).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum UpdateBeforeUpgrade {
    /// The default version of the serving image.
    Newest,
    /// One that the target image installs too.
    SameAsTarget,
}
