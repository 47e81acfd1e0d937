//! The answer of pgops' preflight.

use anyhow::{Context, ensure};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, Phase};
use pgops_api::{condition, names};

use super::pair::Pair;
use crate::counts;
use crate::database::Database;

/// One finding, parsed from the request's condition.
#[derive(Debug, Eq, PartialEq)]
pub struct Finding {
    /// The id in brackets.
    pub id: String,
    /// Whether it is only a note.
    pub is_note: bool,
    /// The text after the id.
    pub text: String,
}

impl Finding {
    /// Whether it has this id and contains this text.
    pub fn matches(&self, id: &str, part: &str) -> bool {
        self.id == id && self.text.contains(part)
    }
}

/// Runs only the preflight, as a dry run.
pub async fn run(database: &Database, pair: &Pair) -> anyhow::Result<Vec<Finding>> {
    let upgrade = database.namespace().upgrade("dry").database(database.name()).to(pair.to);
    let upgrade = upgrade.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
    let request = upgrade.wait_terminal().await?;
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let end = match request.phase() {
        Phase::Successful => CONDITION_SUCCESSFUL,
        _ => CONDITION_FAILED,
    };
    let end = condition::find(conditions, end).with_context(|| format!("no condition {end}"))?;
    let message = end.message.as_deref().unwrap_or_default();
    let reason = end.reason.as_deref().unwrap_or_default();
    ensure!(
        ["DryRun", "PreflightFailed"].contains(&reason),
        "the dry run ended unexpectedly: {reason}: {message}"
    );
    count_compared(message)?;
    let findings = parse(message);
    let blocks = findings.iter().any(|finding| !finding.is_note);
    ensure!(blocks == (reason == "PreflightFailed"), "the preflight was aborted: {message}");
    Ok(findings)
}

/// Counts what the census has compared, if the rehearsal succeeded.
fn count_compared(message: &str) -> anyhow::Result<()> {
    let Some((before, after)) = message.split_once(" objects and details of ") else { return Ok(()) };
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    counts::add("compared-databases", 1)?;
    counts::add("compared-objects", number(before.split_whitespace().next_back()))?;
    counts::add("compared-kinds", number(after.split_whitespace().next()))
}

/// The findings in a condition's message; a name in them may contain a line break.
fn parse(message: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in message.lines() {
        let begin = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        match (begin, findings.last_mut()) {
            (Some((id, text)), _) => {
                let note = text.strip_prefix("note: ");
                findings.push(Finding {
                    id: id.to_owned(),
                    is_note: note.is_some(),
                    text: note.unwrap_or(text).to_owned(),
                });
            }
            (None, Some(last)) => last.text = format!("{}\n{line}", last.text),
            (None, None) => {}
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_parsed_with_notes_and_line_breaks() {
        let findings =
            parse("dry run: a. 1 finding blocks the upgrade:\n[a-b] x: t in \"two\nlines\"\n[c] note: y");
        let finding = |id: &str, is_note, text: &str| Finding { id: id.into(), is_note, text: text.into() };
        assert_eq!(findings, [finding("a-b", false, "x: t in \"two\nlines\""), finding("c", true, "y")]);
        assert_eq!(parse("dry run: a. No blocking findings for the upgrade to 17.11\nmode copy"), []);
    }
}
