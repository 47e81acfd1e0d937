//! Schemas that schemars cannot derive: foreign types, and objects whose unknown fields are kept.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `metav1.Time`.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// An object of which pgops reads a part, or nothing; the API server keeps the rest as it is.
pub(crate) fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Conditions, merged by type when two managers apply them.
pub(crate) fn keep_unknown(schema: &mut Schema) {
    schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
}
