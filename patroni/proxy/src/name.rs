//! Names of Kubernetes objects, which are parts of paths.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// The longest name that an object can have.
const MAX_LENGTH: usize = 253;

/// The name of an object or a namespace: nothing in it has a meaning in a path or a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Name(String);

/// It cannot be the name of an object.
#[derive(Debug, thiserror::Error)]
#[error("expected the name of a Kubernetes object: lower-case letters, digits, \"-\" and \".\"")]
pub struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let edges_are_alphanumeric =
            bytes.first().is_some_and(is_alphanumeric) && bytes.last().is_some_and(is_alphanumeric);
        let all_are_allowed = bytes.iter().all(|byte| is_alphanumeric(byte) || matches!(byte, b'-' | b'.'));
        if !edges_are_alphanumeric || !all_are_allowed || text.contains("..") || text.len() > MAX_LENGTH {
            return Err(NotAName);
        }
        Ok(Self(text.to_owned()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("orders", true)]
    #[case("orders-ha-17", true)]
    #[case("a.b-0", true)]
    #[case("", false)]
    #[case("-orders", false)]
    #[case("orders-", false)]
    #[case("orders/..", false)]
    #[case("a..b", false)]
    #[case("orders%2f", false)]
    #[case("Orders", false)]
    #[case("orders?watch", false)]
    fn name_has_nothing_that_means_something_in_a_path(#[case] text: &str, #[case] is_a_name: bool) {
        assert_eq!(text.parse::<Name>().is_ok(), is_a_name);
    }
}
