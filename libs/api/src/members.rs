//! What the status of a database says about each of its servers, if it has standbys. For people: nothing is decided by it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One server of a database with standbys.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Name of its pod.
    pub pod: String,
    /// Whether it is the primary or a standby; none while it is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// Whether it answers queries.
    #[serde(default)]
    pub ready: bool,
    /// The timeline of its WAL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// How much WAL of the primary a standby lacks, such as `312Ki`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<String>,
}

/// What a server does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// It accepts writes.
    Primary,
    /// It replays WAL.
    Standby,
}
