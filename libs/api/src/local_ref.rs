//! A reference to an object in the same namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of an object in the same namespace.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = crate::schema::keep_unknown)]
pub struct LocalRef {
    /// Name of the object.
    #[serde(default)]
    pub name: String,
}
