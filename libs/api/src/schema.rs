//! Schemas that schemars cannot derive: foreign types, and objects that preserve unknown fields.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `metav1.Time`.
pub(crate) fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// An object of which pgops reads only a part, or nothing; the API server preserves the rest.
pub(crate) fn open_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// A quantity: text such as `20Gi`, or a number.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true })
}

/// Makes the API server preserve fields that are not in the schema.
pub(crate) fn keep_unknown(schema: &mut Schema) {
    schema.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
}
