//! `PostgreSQL`'s own version numbers.

use std::fmt;
use std::str::FromStr;

/// A version of `PostgreSQL` since 10: a major number, and a minor number.
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

/// Text that is no version of `PostgreSQL`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is no PostgreSQL version: expected MAJOR.MINOR, such as \"16.10\"")]
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
    /// Reads what `postgres -V` prints: `postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)`.
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
    fn reads_a_version(#[case] text: &str, #[case] major: u32, #[case] minor: u32) {
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
    fn refuses_what_is_no_version_and_names_it(#[case] text: &str) {
        let error = text.parse::<PgVersion>().unwrap_err();
        assert!(error.to_string().contains(&format!("\"{text}\"")), "{error}");
    }

    #[test]
    fn reads_the_banner_of_a_program() {
        let banner = "postgres (PostgreSQL) 13.16 (Debian 13.16-0+deb11u1)\n";
        assert_eq!(PgVersion::from_banner(banner).unwrap(), PgVersion { major: 13, minor: 16 });
        assert!(PgVersion::from_banner("sh: not found").is_err());
    }
}
