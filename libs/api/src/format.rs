//! The format of what one release stores as JSON and another may read: a number in the object itself. A release that does not know
//! it can then say so, instead of reporting a field.

use serde::{Deserialize, Serialize};

/// The first format, which objects do not name.
const FIRST: u32 = 1;

#[derive(Deserialize)]
struct Header {
    #[serde(default = "first")]
    format: u32,
}

#[derive(Serialize)]
struct Stored<'a, T> {
    #[serde(skip_serializing_if = "is_first")]
    format: u32,
    #[serde(flatten)]
    value: &'a T,
}

fn first() -> u32 {
    FIRST
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_first(format: &u32) -> bool {
    *format == FIRST
}

/// The format of an object; an error if the text is not JSON, or the format not a number.
pub fn of(json: &str) -> Result<u32, serde_json::Error> {
    serde_json::from_str(json).map(|Header { format }| format)
}

/// An object, with its format if that is not the first one.
pub fn to_json<T: Serialize>(format: u32, value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Stored { format, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn format_is_named_unless_it_is_the_first_one() {
        assert_eq!(to_json(FIRST, &json!({ "a": 1 })).unwrap(), r#"{"a":1}"#);
        assert_eq!(to_json(2, &json!({ "a": 1 })).unwrap(), r#"{"format":2,"a":1}"#);
    }

    #[test]
    fn format_is_read_whatever_else_the_object_has() {
        assert_eq!(of(r#"{"a":1}"#).unwrap(), FIRST);
        assert_eq!(of(r#"{"a":{"format":7},"format":3}"#).unwrap(), 3);
        for text in ["", "{\"format\":\"new\"}"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
