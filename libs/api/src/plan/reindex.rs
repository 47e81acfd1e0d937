//! What happens to indexes that were built with another sort order of text.

use serde::{Deserialize, Serialize};

use super::word;

/// What happens to indexes that were built with another sort order of text than that of the new image.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reindex {
    /// They are rebuilt.
    #[default]
    Affected,
    /// They are reported, and left to the user.
    Report,
    /// They are not looked for.
    #[serde(rename = "none")]
    Off,
}

impl Reindex {
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
    fn reindex_values_are_those_of_the_plan() {
        for text in ["affected", "report", "none"] {
            let parsed = Reindex::parse(text).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), serde_json::json!(text));
        }
        assert_eq!(Reindex::parse("Affected"), None);
    }
}
