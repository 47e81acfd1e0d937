//! The format of plans. A launcher gives its Jobs a plan, and a runner that its own release ships with; but a Job may outlive its
//! launcher, and the tag of a runner's image may be moved. So each says which formats it knows, and names both when it
//! refuses another one.
//!
//! An option with a default that a plan does not mention needs no new format: a runner that does not know it refuses the plan as
//! soon as it is used. Another meaning of a field, or a field that must be known, does: raise [`PLAN_FORMAT`], keep reading the
//! earlier ones, and add a fixture of the new one.

use super::UpgradePlan;
use crate::format;

/// The format of the plans that this release writes; it reads all up to it.
pub const PLAN_FORMAT: u32 = 1;

/// A runner cannot execute a plan.
#[derive(Debug, thiserror::Error)]
pub enum ParsePlanError {
    /// A newer launcher has written it.
    #[error(
        "failed to read the plan: it has format {found}, and this runner knows formats up to {PLAN_FORMAT}; a newer launcher has \
         created this Job: give it the runner image of the same release (images.tag of the chart), then resume the request"
    )]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It is not JSON, or has fields that this release does not know.
    #[error(
        "failed to parse the plan: launcher and runner must be of the same release (images.tag of the chart); correct that, then \
         resume the request"
    )]
    Malformed(#[from] serde_json::Error),
}

impl UpgradePlan {
    /// The plan as a runner reads it.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        format::to_json(PLAN_FORMAT, self)
    }

    /// Reads a plan of any format that is known.
    pub fn from_json(json: &str) -> Result<Self, ParsePlanError> {
        match format::of(json)? {
            PLAN_FORMAT => Ok(serde_json::from_str(json)?),
            found => Err(ParsePlanError::Newer { found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{CreateroleGrants, Reindex, Repartition, Scope, TransferMode};

    /// As the first release wrote them: its runner may get a plan of this launcher, and the reverse.
    const FORMAT_1: &str = include_str!("fixtures/format-1.json");
    const FORMAT_1_OPTIONS: &str = include_str!("fixtures/format-1-options.json");

    #[test]
    fn plan_of_the_first_format_is_read() {
        let plan = UpgradePlan::example("13.16", "17.11");
        assert_eq!(UpgradePlan::from_json(FORMAT_1).unwrap(), plan);
        let with_options = UpgradePlan {
            scope: Scope::DryRun,
            transfer_mode: Some(TransferMode::CopyFileRange),
            keep_old_data_seconds: Some(3600),
            reindex: Reindex::Off,
            repartition: Repartition::Move,
            createrole_grants: CreateroleGrants::Carry,
            timeout_seconds: Some(600),
            max_retries: 3,
            ..plan
        };
        assert_eq!(UpgradePlan::from_json(FORMAT_1_OPTIONS).unwrap(), with_options);
    }

    #[test]
    fn plan_is_written_as_the_runner_of_the_first_release_reads_it() {
        for stored in [FORMAT_1, FORMAT_1_OPTIONS] {
            let plan = UpgradePlan::from_json(stored).unwrap();
            assert_eq!(plan.to_json().unwrap(), stored.trim_end());
        }
    }

    #[test]
    fn refusal_of_a_newer_plan_names_both_formats() {
        let newer = FORMAT_1.replacen('{', "{\"format\":2,\"from\":\"elsewhere\",", 1);
        let error = UpgradePlan::from_json(&newer).unwrap_err();
        assert!(matches!(error, ParsePlanError::Newer { found: 2 }), "{error}");
        assert!(error.to_string().contains("format 2, and this runner knows formats up to 1"), "{error}");
        let option = FORMAT_1.replacen('{', "{\"parallel\":4,", 1);
        let error = UpgradePlan::from_json(&option).unwrap_err();
        assert!(matches!(error, ParsePlanError::Malformed(_)), "{error}");
        assert!(crate::display_chain(&error).contains("unknown field `parallel`"), "{error}");
    }
}
