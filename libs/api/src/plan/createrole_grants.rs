//! What happens to the rights of roles with `CREATEROLE`, which 16 reduces.

use serde::{Deserialize, Serialize};

use super::word;

/// What happens to the rights that roles with `CREATEROLE` had on existing roles before 16.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CreateroleGrants {
    /// The `GRANT`s that restore them are reported, and left to the user.
    #[default]
    Report,
    /// The `GRANT`s are run before clients can connect to the new server.
    Carry,
}

impl CreateroleGrants {
    /// Parses the annotation's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        word::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn createrole_grants_values_are_those_of_the_plan() {
        for text in ["report", "carry"] {
            let parsed = CreateroleGrants::parse(text).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), serde_json::json!(text));
            assert_eq!(word::is_default(&parsed), text == "report");
        }
        assert_eq!(CreateroleGrants::parse("true"), None);
    }
}
