//! The unit of measurement: one upgrade of a database of one shape.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use anyhow::{Context, ensure};
use pgops_api::plan::TransferMode;

/// One upgrade. Its name, such as `13.16:17.11/link/1000/0.1`, contains everything: versions, transfer mode, tables
/// and gigabytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Name of the old version.
    pub from: String,
    /// Name of the new version.
    pub to: String,
    /// How the data is transferred.
    pub mode: TransferMode,
    /// Number of tables.
    pub tables: NonZeroU32,
    /// Total size of all tables.
    pub gigabytes: f64,
}

/// The cases that are measured by default.
pub const DEFAULT_CASES: &str = "13.16:17.11/link/1/0.1 13.16:17.11/link/1/1 13.16:17.11/link/1/10 \
                         13.16:17.11/link/1000/0.1 13.16:17.11/link/10000/0.1 \
                         13.16:17.11/copy/1/0.1 13.16:17.11/copy/1/1";

impl Case {
    /// Parses a list of cases, separated by blanks.
    pub fn parse_list(text: &str) -> anyhow::Result<Vec<Self>> {
        text.split_whitespace().map(str::parse).collect()
    }

    /// Whether it differs only in size.
    pub fn is_another_size_of(&self, other: &Self) -> bool {
        let size = self.gigabytes;
        self.gigabytes.total_cmp(&other.gigabytes).is_ne()
            && Self { gigabytes: size, ..other.clone() } == *self
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, mode, tables, gigabytes } = self;
        write!(f, "{from}:{to}/{}/{tables}/{gigabytes}", mode.name())
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let usage =
            || format!("\"{text}\" is not FROM:TO/MODE/TABLES/GIGABYTES such as 13.16:17.11/link/1/0.1");
        let parts: Vec<_> = text.split('/').collect();
        let [versions, mode, tables, gigabytes] = parts[..] else { anyhow::bail!(usage()) };
        let (from, to) = versions.split_once(':').with_context(usage)?;
        let gigabytes: f64 = gigabytes.parse().with_context(usage)?;
        ensure!(gigabytes.is_finite() && gigabytes >= 0.0, usage());
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            mode: TransferMode::parse(mode).with_context(usage)?,
            tables: tables.parse().with_context(usage)?,
            gigabytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_its_name() {
        let cases = Case::parse_list(DEFAULT_CASES).unwrap();
        let names: Vec<_> = cases.iter().map(ToString::to_string).collect();
        assert_eq!(names, DEFAULT_CASES.split_whitespace().collect::<Vec<_>>());
        assert_eq!((cases[3].tables.get(), cases[3].mode), (1000, TransferMode::Link));
    }

    #[test]
    fn invalid_case_is_rejected_with_an_example() {
        for text in
            ["13.16/link/1/0.1", "13.16:17.11/move/1/0.1", "13.16:17.11/link/0/0.1", "13.16:17.11/link/1/-1"]
        {
            let error = format!("{:#}", text.parse::<Case>().unwrap_err());
            assert!(error.contains(text) && error.contains("13.16:17.11/link/1/0.1"), "{error}");
        }
    }

    #[test]
    fn case_sizes_are_compared_within_one_shape() {
        let case = |text: &str| text.parse::<Case>().unwrap();
        let small = case("13.16:17.11/link/1/0.1");
        assert!(case("13.16:17.11/link/1/10").is_another_size_of(&small));
        assert!(!small.is_another_size_of(&small));
        assert!(!case("13.16:17.11/link/1000/10").is_another_size_of(&small));
        assert!(!case("13.16:17.11/copy/1/10").is_another_size_of(&small));
    }
}
