//! Which requests an installation executes. Those that change a running database need its provisioner.

use std::str::FromStr;

use crate::opsrequest::RequestType;

/// The requests that an installation executes; it leaves all others alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ExecutedRequests {
    /// Upgrades, and those that the provisioner executes.
    #[default]
    All,
    /// Upgrades only: another provisioner builds the databases.
    Upgrades,
}

/// Text that does not name a choice.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is neither \"all\" nor \"upgrades\"")]
pub struct ParseExecutedError(String);

impl FromStr for ExecutedRequests {
    type Err = ParseExecutedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "upgrades" => Ok(Self::Upgrades),
            other => Err(ParseExecutedError(other.to_owned())),
        }
    }
}

impl ExecutedRequests {
    /// Whether requests of this type are executed.
    #[must_use]
    pub fn includes(self, type_: RequestType) -> bool {
        match self {
            Self::All => type_.is_executed(),
            Self::Upgrades => type_.updates_version(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("all", RequestType::UpdateVersion, true)]
    #[case("all", RequestType::Restart, true)]
    #[case("all", RequestType::HorizontalScaling, false)]
    #[case("upgrades", RequestType::Upgrade, true)]
    #[case("upgrades", RequestType::Restart, false)]
    fn type_says_whether_a_request_is_executed(
        #[case] executed: ExecutedRequests,
        #[case] type_: RequestType,
        #[case] expected: bool,
    ) {
        assert_eq!(executed.includes(type_), expected);
    }

    #[test]
    fn unknown_choice_is_quoted() {
        assert!("none".parse::<ExecutedRequests>().unwrap_err().to_string().contains("\"none\""));
    }
}
