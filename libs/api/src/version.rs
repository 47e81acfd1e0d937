//! Version numbers of `PostgreSQL` releases.

use std::fmt;
use std::str::FromStr;

/// A release of `PostgreSQL` 10 or newer: a major and a minor number.
///
/// ```
/// use pgops_api::PgVersion;
/// let old: PgVersion = "16.9".parse().unwrap();
/// let new: PgVersion = "16.10".parse().unwrap();
/// assert!(old < new);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PgVersion {
    /// 13 in 13.16.
    pub major: u32,
    /// 16 in 13.16.
    pub minor: u32,
}

/// Text that is not a version of `PostgreSQL`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not a PostgreSQL version: expected MAJOR.MINOR, such as \"16.10\"")]
pub struct ParseVersionError(String);

impl FromStr for PgVersion {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseVersionError(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(error)?;
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).ok_or_else(error)
        };
        Ok(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl PgVersion {
    /// Parses the output of `postgres -V`: `postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)`.
    pub fn from_banner(banner: &str) -> Result<Self, ParseVersionError> {
        banner
            .split_once("(PostgreSQL) ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .ok_or_else(|| ParseVersionError(banner.trim().to_owned()))?
            .parse()
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("13.16", 13, 16)]
    #[case("17.0", 17, 0)]
    fn version_is_parsed(#[case] text: &str, #[case] major: u32, #[case] minor: u32) {
        let version: PgVersion = text.parse().unwrap();
        assert_eq!(version, PgVersion { major, minor });
        assert_eq!(version.to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("13")]
    #[case("13.16.1")]
    #[case("+13.16")]
    #[case("13.16-alpine")]
    #[case("v13.16")]
    #[case("99999999999.1")]
    fn malformed_version_is_rejected_and_quoted(#[case] text: &str) {
        let error = text.parse::<PgVersion>().unwrap_err();
        assert!(error.to_string().contains(&format!("\"{text}\"")), "{error}");
    }

    #[test]
    fn version_is_parsed_from_a_banner() {
        let banner = "postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)\n";
        assert_eq!(PgVersion::from_banner(banner).unwrap(), PgVersion { major: 13, minor: 16 });
        assert!(PgVersion::from_banner("sh: not found").is_err());
    }
}
