//! The journal of an upgrade, read by an observer.

use anyhow::Context;
use pgops_api::plan::Step;
use serde::Deserialize;
use serde_json::Value;

/// The event that a record reports for its step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The step's effect may exist in part.
    Started,
    /// The step's effect exists.
    Succeeded,
    /// The step could not be done.
    Failed,
    /// The step's effect no longer exists.
    Undone,
    /// The step could not be done, and the upgrade continues without it.
    GivenUp,
}

/// One record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// The step.
    pub step: Step,
    /// Its event.
    pub event: Event,
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:?}", self.step, self.event)
    }
}

#[derive(Deserialize)]
struct Line {
    step: Step,
    event: Value,
}

/// Parses all complete lines.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Record>> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().map(record).collect()
}

fn record(line: &str) -> anyhow::Result<Record> {
    let Line { step, event } =
        serde_json::from_str(line).with_context(|| format!("not a journal record: {line}"))?;
    // With its reason, an event is an object of one key.
    let name = event.as_str().or_else(|| event.as_object()?.keys().next().map(String::as_str));
    let event = match name {
        Some("Started") => Event::Started,
        Some("Succeeded") => Event::Succeeded,
        Some("Failed") => Event::Failed,
        Some("Undone") => Event::Undone,
        Some("GivenUp") => Event::GivenUp,
        _ => anyhow::bail!("unknown event in the journal: {line}"),
    };
    Ok(Record { step, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journal_is_parsed_with_and_without_reasons() {
        let text = "{\"at\":\"t\",\"step\":\"Preflight\",\"event\":\"Started\"}\n\
                    {\"at\":\"t\",\"step\":\"Preflight\",\"event\":{\"Failed\":{\"reason\":\"r\"}}}\n{\"at\"";
        let of = |event| Record { step: Step::Preflight, event };
        assert_eq!(parse(text).unwrap(), [of(Event::Started), of(Event::Failed)]);
    }
}
