//! Compares the findings of the preflight with the outcome of `pg_upgrade`.

use super::case::{Expected, Findings};
use super::oracle::{Outcome, PgUpgradeRun};
use super::preflight::Finding;

/// The result of a comparison.
#[derive(Debug, Default)]
pub struct Comparison {
    /// A line for each case: the answers of both sides.
    pub lines: Vec<String>,
    /// Unexpected answers.
    pub mismatches: Vec<String>,
}

impl Comparison {
    pub(super) fn extend(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.mismatches.extend(other.mismatches);
    }
}

/// The findings that the preflight should report.
pub(super) fn expected_findings(expected: Expected) -> Findings {
    match expected {
        Expected::Passed | Expected::Remedied { .. } => &[],
        Expected::Refused { ours, .. } | Expected::Stricter { ours, .. } => ours,
    }
}

/// Compares both answers about a case that should not pass: a line for the report, or the mismatch.
pub(super) fn compare(
    expected: Expected,
    findings: &[Finding],
    run: &PgUpgradeRun,
) -> Result<String, String> {
    let ours = expected_findings(expected);
    let missing: Vec<_> =
        ours.iter().filter(|(id, part)| !findings.iter().any(|it| it.matches(id, part))).collect();
    let ids: Vec<_> = ours.iter().map(|(id, _)| *id).collect();
    let ids = ids.join(", ");
    match (expected, run.outcome) {
        _ if !missing.is_empty() && run.outcome != Outcome::Passed => Err(format!(
            "the preflight passes what pg_upgrade refuses; missing findings: {missing:?}; pg_upgrade: {}",
            run.output
        )),
        _ if !missing.is_empty() => Err(format!("missing findings: {missing:?}")),
        (Expected::Refused { .. } | Expected::Passed, Outcome::Passed) => {
            Err(format!("the preflight refuses what pg_upgrade passes: {ids}"))
        }
        (Expected::Refused { theirs, .. }, outcome) if run.output.contains(theirs) => {
            let stage = if outcome == Outcome::CheckFailed { "its check" } else { "the upgrade itself" };
            Ok(format!("{ids}; pg_upgrade: {stage}"))
        }
        (Expected::Remedied { .. }, Outcome::Passed) => {
            Err("pg_upgrade passes it without pgops' remedy".to_owned())
        }
        (Expected::Remedied { theirs, by }, _) if run.output.contains(theirs) => {
            Ok(format!("pg_upgrade refuses, pgops passes it, since {by}"))
        }
        (Expected::Stricter { because, .. }, Outcome::Passed) => {
            Ok(format!("{ids}; pg_upgrade passes, but {because}"))
        }
        _ => Err(format!("pg_upgrade refuses for another reason: {}", run.output)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Expected = Expected::Refused { ours: &[("reg-type-column", "\"a\"")], theirs: "reg*" };

    fn run(outcome: Outcome, output: &str) -> PgUpgradeRun {
        PgUpgradeRun { outcome, output: output.to_owned() }
    }

    fn found(id: &str) -> [Finding; 1] {
        [Finding { id: id.to_owned(), is_note: false, text: "t.f in \"a\"".to_owned() }]
    }

    #[test]
    fn refusal_by_both_must_have_the_same_reason() {
        let same = compare(REFUSED, &found("reg-type-column"), &run(Outcome::CheckFailed, "reg* types"));
        assert!(same.is_ok());
        let mismatch =
            compare(REFUSED, &found("reg-type-column"), &run(Outcome::CheckFailed, "no space left"));
        assert!(mismatch.unwrap_err().contains("another reason"));
    }

    #[test]
    fn preflight_must_not_pass_what_pg_upgrade_refuses() {
        for expected in [REFUSED, Expected::Stricter { ours: &[("reg-type-column", "\"a\"")], because: "x" }]
        {
            let mismatch = compare(expected, &found("other"), &run(Outcome::UpgradeFailed, "reg* types"));
            assert!(mismatch.unwrap_err().contains("the preflight passes what pg_upgrade refuses"));
        }
    }

    #[test]
    fn stricter_preflight_needs_a_reason() {
        let mismatch = compare(REFUSED, &found("reg-type-column"), &run(Outcome::Passed, ""));
        assert!(mismatch.unwrap_err().contains("the preflight refuses what pg_upgrade passes"));
    }
}
