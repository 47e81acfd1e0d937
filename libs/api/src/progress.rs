//! What the status of a request says of its progress, read back as data. The runner writes these texts for people.

use std::str::FromStr;

use k8s_openapi::jiff::Timestamp;

use crate::Condition;

/// The step in [`status.step`](crate::opsrequest::PostgresOpsRequestStatus::step): `7/16 PgUpgraded`, or `7/16 PgUpgraded (undo)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepProgress {
    /// Number of the step, from 1.
    pub number: u32,
    /// How many steps there are.
    pub steps: u32,
    /// Name of the step.
    pub name: String,
    /// Whether it is being undone.
    pub undo: bool,
}

/// A text is not a step with its number.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not a step: expected a text such as \"7/16 PgUpgraded\"")]
pub struct ParseStepError(String);

impl FromStr for StepProgress {
    type Err = ParseStepError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let (position, name) = text.split_once(' ')?;
            let (number, steps) = position.split_once('/')?;
            let (name, undo) = name.strip_suffix(" (undo)").map_or((name, false), |name| (name, true));
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let (number, steps) = (number.parse().ok()?, steps.parse().ok()?);
            is_name.then(|| Self { number, steps, name: name.to_owned(), undo })
        };
        parsed().ok_or_else(|| ParseStepError(text.to_owned()))
    }
}

/// The outage in [`status.outage`](crate::opsrequest::PostgresOpsRequestStatus::outage): `5.6s`, or
/// `since 2026-02-03T04:05:06Z` while it lasts, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OutageProgress {
    /// Seconds of outages that have ended; none if none has.
    pub ended: Option<f64>,
    /// Since when the database has accepted no writes, if it accepts none.
    pub since: Option<Timestamp>,
}

/// A text is not an outage.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{0}\" is not an outage: expected a text such as \"5.6s\" or \"since 2026-02-03T04:05:06Z\"")]
pub struct ParseOutageError(String);

impl FromStr for OutageProgress {
    type Err = ParseOutageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = |text: &str| -> Option<f64> {
            text.strip_suffix('s')?.parse().ok().filter(|it: &f64| it.is_finite() && *it >= 0.0)
        };
        let parsed = || match text.split_once("since ") {
            None => Some(Self { ended: Some(seconds(text)?), since: None }),
            Some(("", since)) => Some(Self { ended: None, since: Some(since.parse().ok()?) }),
            Some((ended, since)) => {
                let ended = seconds(ended.strip_suffix(", and ")?)?;
                Some(Self { ended: Some(ended), since: Some(since.parse().ok()?) })
            }
        };
        parsed().ok_or_else(|| ParseOutageError(text.to_owned()))
    }
}

const ATTEMPT: &str = "attempt ";
const RETRYING: &str = " failed, retrying: ";

/// The message of a step's condition, once an attempt of it has failed.
#[must_use]
pub fn retry_message(attempt: u32, why: &str) -> String {
    format!("{ATTEMPT}{attempt}{RETRYING}{why}")
}

/// How many attempts of the running step have failed.
#[must_use]
pub fn failed_attempts(conditions: &[Condition]) -> u32 {
    let running = conditions.iter().filter(|condition| condition.status == "Unknown");
    let attempts = running.filter_map(|condition| {
        let (attempt, _) = condition.message.as_deref()?.strip_prefix(ATTEMPT)?.split_once(RETRYING)?;
        attempt.parse().ok()
    });
    attempts.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use rstest::rstest;

    #[test]
    fn step_is_read_with_its_number_and_direction() {
        let step = |undo| StepProgress { number: 7, steps: 16, name: "PgUpgraded".to_owned(), undo };
        assert_eq!("7/16 PgUpgraded".parse(), Ok(step(false)));
        assert_eq!("7/16 PgUpgraded (undo)".parse(), Ok(step(true)));
    }

    #[rstest]
    #[case("")]
    #[case("PgUpgraded")]
    #[case("7 PgUpgraded")]
    #[case("7/16 ")]
    #[case("-7/16 PgUpgraded")]
    #[case("7/16 a user's \"text\"")]
    fn other_text_is_rejected_as_a_step(#[case] text: &str) {
        assert!(text.parse::<StepProgress>().unwrap_err().to_string().contains("is not a step"));
    }

    #[test]
    fn outage_is_read_with_its_begin_while_it_lasts() {
        let since = Some("2026-02-03T04:05:06Z".parse().unwrap());
        let expected = [
            ("5.6s", OutageProgress { ended: Some(5.6), since: None }),
            ("since 2026-02-03T04:05:06Z", OutageProgress { ended: None, since }),
            ("6.0s, and since 2026-02-03T04:05:06Z", OutageProgress { ended: Some(6.0), since }),
        ];
        for (text, outage) in expected {
            assert_eq!(text.parse(), Ok(outage));
        }
    }

    #[rstest]
    #[case("")]
    #[case("5.6")]
    #[case("-1s")]
    #[case("NaNs")]
    #[case("infs")]
    #[case("since yesterday")]
    #[case("for 5s since 2026-02-03T04:05:06Z")]
    fn other_text_is_rejected_as_an_outage(#[case] text: &str) {
        assert!(text.parse::<OutageProgress>().is_err());
    }

    #[test]
    fn failed_attempts_are_those_of_the_running_step() {
        let condition = |step: &str, status: &str, message: &str| {
            Condition::new(step, status, "InProgress", message, Time(Timestamp::UNIX_EPOCH))
        };
        let done = condition("Preflight", "True", &retry_message(3, "no answer"));
        assert_eq!(failed_attempts(std::slice::from_ref(&done)), 0);
        let running = condition("PgUpgraded", "Unknown", &retry_message(2, "attempt 9 failed, retrying: it"));
        assert_eq!(failed_attempts(&[done, running]), 2);
        assert_eq!(failed_attempts(&[condition("PgUpgraded", "Unknown", "in progress")]), 0);
    }
}
