//! The output of `pg_upgrade`: the stages that have passed, and the one that has not, with what is printed about it.

use crate::postgres::redact::redact;

/// What is known from the lines so far.
#[derive(Debug, Default)]
pub struct Output {
    failed: String,
    /// Everything since the last stage.
    remarks: Vec<String>,
}

/// The stage at which `pg_upgrade` has failed, and its explanation.
#[derive(Debug, Eq, PartialEq)]
pub struct FailedStage {
    pub stage: String,
    pub explanation: String,
}

impl Output {
    /// Adds a line; returns the stage that has passed with it.
    pub fn add<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        match parse(line) {
            Line::Passed(stage) => {
                self.remarks.clear();
                return Some(stage);
            }
            Line::Failed(stage) => {
                stage.clone_into(&mut self.failed);
                self.remarks.clear();
            }
            Line::Other("") => {}
            Line::Other(text) => self.remarks.push(text.to_owned()),
        }
        None
    }

    /// The failed stage, once `pg_upgrade` has ended with an error.
    #[must_use]
    pub fn failed_stage(mut self) -> FailedStage {
        // A stage that reports its progress is alone on its line.
        if self.failed.is_empty()
            && let Some(at) = self.remarks.iter().position(|line| !is_noise(line))
        {
            self.failed = self.remarks.remove(at);
        }
        FailedStage { stage: self.failed, explanation: redact(&explanation(&self.remarks)) }
    }
}

#[derive(Debug, PartialEq)]
enum Line<'a> {
    /// A stage that has passed: `Checking cluster versions      ok`.
    Passed(&'a str),
    /// A stage that has not: `fatal` or `failed check: …` follows it, or nothing.
    Failed(&'a str),
    /// A remark about what came before.
    Other(&'a str),
}

fn parse(line: &str) -> Line<'_> {
    // The state is in a column of its own, after a run of blanks.
    match line.split_once("   ") {
        Some((name, state)) if name.starts_with(char::is_uppercase) => match state.trim() {
            "ok" => Line::Passed(name),
            _ => Line::Failed(name),
        },
        _ => Line::Other(line.trim()),
    }
}

/// The remarks without decoration, and without paths, which are deleted with the worker.
fn explanation(remarks: &[String]) -> String {
    let mut lines: Vec<_> = remarks.iter().map(String::as_str).filter(|line| !is_noise(line)).collect();
    lines.dedup();
    lines.join(" ")
}

/// Whether a line is decoration, a path, or a command line.
fn is_noise(line: &str) -> bool {
    const BEGINNINGS: [&str; 4] =
        ["Consult the last", "Failure, exiting", "the probable cause", "child process exited"];
    line.is_empty()
        || line.starts_with(['*', '-', '/'])
        || line.starts_with("\"/")
        || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("Checking cluster versions                 ok", Line::Passed("Checking cluster versions"))]
    #[case(
        "Checking for prepared transactions        fatal",
        Line::Failed("Checking for prepared transactions")
    )]
    #[case(
        "Checking data type usage    failed check: Checking for reg* data types",
        Line::Failed("Checking data type usage")
    )]
    #[case(
        "Restoring database schemas in the new cluster                 ",
        Line::Failed("Restoring database schemas in the new cluster")
    )]
    #[case("Performing Consistency Checks", Line::Other("Performing Consistency Checks"))]
    #[case("-----------------------------", Line::Other("-----------------------------"))]
    #[case("", Line::Other(""))]
    fn line_has_a_stage_and_its_result(#[case] line: &str, #[case] expected: Line<'_>) {
        assert_eq!(parse(line), expected);
    }

    #[test]
    fn explanation_has_no_decoration() {
        let remarks = [
            "",
            "Data type checks failed:",
            "Your installation contains one of the reg* data types",
            "*failure*",
            "\"/usr/lib/postgresql/17/bin/pg_ctl\" -w -o \"-p 50432\" start",
            "Failure, exiting",
        ]
        .map(String::from);
        assert_eq!(
            explanation(&remarks),
            "Data type checks failed: Your installation contains one of the reg* data types"
        );
    }
}
