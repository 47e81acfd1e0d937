//! Which databases pgops manages. Next to KubeDB's operators a cluster has databases of both, of the same kind.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::names::LABEL_MANAGED;

/// The databases that pgops manages; it leaves all others alone, and their requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ManagedDatabases {
    /// All but those with the label `pgops.dev/managed: "false"`.
    #[default]
    All,
    /// Those with the label `pgops.dev/managed: "true"`.
    Labelled,
}

/// Text that does not name a choice.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is neither \"all\" nor \"labelled\"")]
pub struct ParseManagedError(String);

impl FromStr for ManagedDatabases {
    type Err = ParseManagedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "labelled" => Ok(Self::Labelled),
            other => Err(ParseManagedError(other.to_owned())),
        }
    }
}

impl ManagedDatabases {
    /// Whether a `Postgres` with these labels is managed.
    #[must_use]
    pub fn includes(self, labels: Option<&BTreeMap<String, String>>) -> bool {
        match labels.and_then(|labels| labels.get(LABEL_MANAGED)).map(String::as_str) {
            Some("true") => true,
            Some("false") => false,
            _ => self == Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("all", None, true)]
    #[case("all", Some("false"), false)]
    #[case("all", Some("no"), true)]
    #[case("labelled", None, false)]
    #[case("labelled", Some("true"), true)]
    #[case("labelled", Some("yes"), false)]
    fn label_says_whether_a_database_is_managed(
        #[case] managed: ManagedDatabases,
        #[case] label: Option<&str>,
        #[case] expected: bool,
    ) {
        let labels = label.map(|value| BTreeMap::from([(LABEL_MANAGED.to_owned(), value.to_owned())]));
        assert_eq!(managed.includes(labels.as_ref()), expected);
    }

    #[test]
    fn unknown_choice_is_quoted() {
        assert!("some".parse::<ManagedDatabases>().unwrap_err().to_string().contains("\"some\""));
    }
}
