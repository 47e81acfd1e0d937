//! The table of steps as Markdown, which `make generate` puts into the documentation.

use std::fmt::Write;

use pgops_api::plan::{Step, UpgradeKind};

use super::{StepSpec, spec};
use crate::outage::OutageChange;

/// A form of the list.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Form {
    /// Numbered, with the outage marked.
    List,
    /// With the properties of each step.
    Table,
}

/// The steps in that form.
#[must_use]
pub fn render(form: Form) -> String {
    match form {
        Form::List => list(),
        Form::Table => table(),
    }
}

/// The steps of a major upgrade.
fn list() -> String {
    let mut text = "```\n".to_owned();
    for (number, step) in (1..).zip(Step::sequence(UpgradeKind::Major)) {
        let spec = spec(*step);
        if spec.outage == Some(OutageChange::Begins) {
            text += "── outage ──\n";
        }
        let _ = writeln!(text, "{number:2} {step:<26}{}", spec.purpose);
        if spec.outage == Some(OutageChange::Ends) {
            text += "── the database serves again ──\n";
        }
    }
    text + "```\n"
}

fn table() -> String {
    let mut text = "| step | what it does | in a minor upgrade | undone by a rollback | cancel interrupts it | optional | limit |\n\
                    |---|---|---|---|---|---|---|\n"
        .to_owned();
    for step in Step::sequence(UpgradeKind::Major) {
        text += &row(spec(*step));
    }
    text
}

fn row(spec: &StepSpec) -> String {
    let yes = |holds: bool| if holds { "yes" } else { "" };
    let limit = spec.timeout.map(|limit| format!("{} min", limit.as_secs() / 60)).unwrap_or_default();
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {limit} |\n",
        spec.step,
        spec.purpose,
        yes(Step::sequence(UpgradeKind::Minor).contains(&spec.step)),
        yes(spec.undo.is_some()),
        yes(spec.interruptible),
        yes(spec.optional),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::STEPS;

    #[test]
    fn markdown_lists_every_step_once_with_the_outage() {
        let list = list();
        for step in &STEPS {
            assert_eq!(list.matches(&step.step.to_string()).count(), 1, "{}", step.step);
            assert_eq!(table().matches(&format!("`{}`", step.step)).count(), 1, "{}", step.step);
        }
        let at = |text: &str| list.find(text).unwrap();
        assert!(at("── outage") < at("StopDatabase") && at("StartDatabase") < at("serves again"), "{list}");
    }
}
