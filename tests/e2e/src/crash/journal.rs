//! The journal of an upgrade, as somebody who looks on reads it.

use anyhow::Context;
use pgops_api::plan::Step;
use serde::Deserialize;
use serde_json::Value;

/// What a record says of its step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// Its effect may be there in part.
    Started,
    /// Its effect is there.
    Succeeded,
    /// It could not be done.
    Failed,
    /// Its effect is gone.
    Undone,
    /// It could not be done, and the upgrade goes on without it.
    GivenUp,
}

/// One record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which step it speaks of.
    pub step: Step,
    /// What it says.
    pub mark: Mark,
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:?}", self.step, self.mark)
    }
}

#[derive(Deserialize)]
struct Line {
    step: Step,
    event: Value,
}

/// Reads all whole lines.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Entry>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(entry).collect()
}

fn entry(line: &str) -> anyhow::Result<Entry> {
    let Line { step, event } =
        serde_json::from_str(line).with_context(|| format!("no record of a journal: {line}"))?;
    // With its reason, an event is an object of one key.
    let name = event.as_str().or_else(|| event.as_object()?.keys().next().map(String::as_str));
    let mark = match name {
        Some("Started") => Mark::Started,
        Some("Succeeded") => Mark::Succeeded,
        Some("Failed") => Mark::Failed,
        Some("Undone") => Mark::Undone,
        Some("GivenUp") => Mark::GivenUp,
        _ => anyhow::bail!("an event that no journal has: {line}"),
    };
    Ok(Entry { step, mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_records_with_and_without_a_reason() {
        let text = "{\"at\":\"t\",\"step\":\"Preflight\",\"event\":\"Started\"}\n\
                    {\"at\":\"t\",\"step\":\"Preflight\",\"event\":{\"Failed\":{\"reason\":\"r\"}}}\n{\"at\"";
        let of = |mark| Entry { step: Step::Preflight, mark };
        assert_eq!(parse(text).unwrap(), [of(Mark::Started), of(Mark::Failed)]);
    }
}
