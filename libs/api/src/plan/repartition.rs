//! What happens to rows that belong to another partition under the new rules of text.

use serde::{Deserialize, Serialize};

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
        match text {
            "report" => Some(Self::Report),
            "move" => Some(Self::Move),
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
    fn repartition_values_are_those_of_the_plan() {
        for word in ["report", "move"] {
            let parsed = Repartition::parse(word).unwrap();
            assert_eq!(serde_json::to_value(parsed).unwrap(), serde_json::json!(word));
            assert_eq!(parsed.is_default(), word == "report");
        }
        assert_eq!(Repartition::parse("Move"), None);
    }
}
