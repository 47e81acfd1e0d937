//! What happens to the rights of roles with `CREATEROLE`, which 16 reduces.

use serde::{Deserialize, Serialize};

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
        match text {
            "report" => Some(Self::Report),
            "carry" => Some(Self::Carry),
            _ => None,
        }
    }

    /// Whether it is the default, which a plan does not mention: a runner of an earlier release rejects unknown fields.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn createrole_grants_values_are_those_of_the_plan() {
        for word in ["report", "carry"] {
            let parsed = CreateroleGrants::parse(word).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), serde_json::json!(word));
            assert_eq!(parsed.is_default(), word == "report");
        }
        assert_eq!(CreateroleGrants::parse("true"), None);
    }
}
