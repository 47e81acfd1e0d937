//! What our preflight says.

use anyhow::{Context, ensure};
use pgops_api::opsrequest::{CONDITION_FAILED, CONDITION_SUCCESSFUL, Phase};
use pgops_api::{condition, names};

use super::pair::Pair;
use crate::Database;

/// One finding, as the request's condition has it.
#[derive(Debug, Eq, PartialEq)]
pub struct Finding {
    /// Its id.
    pub id: String,
    /// Whether it is only a note.
    pub is_note: bool,
    /// Its text.
    pub text: String,
}

/// Runs the preflight alone.
pub async fn ask(database: &Database, pair: &Pair) -> anyhow::Result<Vec<Finding>> {
    let upgrade = database.namespace().upgrade("dry").database(database.name()).to(pair.to);
    let upgrade = upgrade.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
    let request = upgrade.wait_terminal().await?;
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let end = match request.phase() {
        Phase::Successful => CONDITION_SUCCESSFUL,
        _ => CONDITION_FAILED,
    };
    let end = condition::find(conditions, end).context("the request does not say how it ended")?;
    let message = end.message.as_deref().unwrap_or_default();
    let reason = end.reason.as_deref().unwrap_or_default();
    ensure!(
        ["DryRun", "PreflightFailed"].contains(&reason),
        "the dry run ended otherwise: {reason}: {message}"
    );
    let findings = read(message);
    let blocks = findings.iter().any(|finding| !finding.is_note);
    ensure!(blocks == (reason == "PreflightFailed"), "the preflight broke off: {message}");
    Ok(findings)
}

/// The findings in a condition's message; a name in them may hold a line break.
fn read(message: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in message.lines() {
        let begin = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        match (begin, findings.last_mut()) {
            (Some((id, text)), _) => {
                let note = text.strip_prefix("note: ");
                let (is_note, text) = (note.is_some(), note.unwrap_or(text).to_owned());
                findings.push(Finding { id: id.to_owned(), is_note, text });
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
    fn findings_are_read_with_their_weight_and_whole() {
        let findings =
            read("dry run: a. 1 finding blocks the upgrade:\n[a-b] x: t in \"two\nlines\"\n[c] note: y");
        let finding = |id: &str, is_note, text: &str| Finding { id: id.into(), is_note, text: text.into() };
        assert_eq!(findings, [finding("a-b", false, "x: t in \"two\nlines\""), finding("c", true, "y")]);
        assert_eq!(read("dry run: a. Nothing found is in the way\nmode copy"), []);
    }
}
