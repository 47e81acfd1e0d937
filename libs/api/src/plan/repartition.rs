//! What happens to rows that belong to another partition under the new rules of text.

use serde::{Deserialize, Serialize};

use super::word;

/// What happens to rows that belong to another partition under the text rules of the new image.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Repartition {
    /// They are counted and reported, and left to the user.
    #[default]
    Report,
    /// They are moved to their partition.
    Move,
}

impl Repartition {
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
    fn repartition_values_are_those_of_the_plan() {
        for text in ["report", "move"] {
            let parsed = Repartition::parse(text).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), serde_json::json!(text));
            assert_eq!(word::is_default(&parsed), text == "report");
        }
        assert_eq!(Repartition::parse("Move"), None);
    }
}
