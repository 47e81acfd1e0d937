//! The results: a file of JSON lines, and a table on standard output.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::goals;

/// A measured value.
#[derive(Serialize)]
struct Line<'a> {
    bench: &'static str,
    case: &'a str,
    metric: &'a str,
    value: f64,
    unit: &'a str,
    goal: Option<String>,
    met: Option<bool>,
}

/// The results of one run, written as they are measured.
pub struct Report {
    file: File,
    case: String,
}

impl Report {
    /// Creates the file, replacing that of the previous run.
    pub fn create(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join("admission.jsonl");
        let file = File::create(&path).with_context(|| format!("failed to write {}", path.display()))?;
        let mut report = Self { file, case: "case".to_owned() };
        report.row("case", "metric", ["webhook", "floor", "ratio"], "unit", &["goal".to_owned()]);
        Ok(report)
    }

    /// Adds a value.
    pub fn add(&mut self, case: &str, metric: &str, value: f64, unit: &str) -> anyhow::Result<()> {
        let goal = self.line(case, metric, value, unit)?;
        self.row(case, metric, [&rounded(value).to_string(), "", ""], unit, &goal);
        Ok(())
    }

    /// Adds a value, that of the floor, and their ratio.
    pub fn compare(
        &mut self,
        case: &str,
        metric: &str,
        [value, floor, ratio]: [f64; 3],
        unit: &str,
    ) -> anyhow::Result<()> {
        let mut goals = self.line(case, metric, value, unit)?;
        goals.extend(self.line(case, &format!("{metric} of the floor"), floor, unit)?);
        let of_ratio = self.line(case, &format!("{metric} ratio"), ratio, "")?;
        goals.extend(of_ratio.into_iter().map(|goal| format!("ratio {goal}")));
        let texts = [value, floor, ratio].map(|value| rounded(value).to_string());
        self.row(case, metric, texts.each_ref().map(String::as_str), unit, &goals);
        Ok(())
    }

    /// Writes a line of the file; returns the goal as text, if there is one.
    fn line(&mut self, case: &str, metric: &str, value: f64, unit: &str) -> anyhow::Result<Vec<String>> {
        let bound = goals::goal(case, metric);
        let met = bound.map(|bound| bound.is_met(value));
        let goal = bound.map(|bound| bound.to_string());
        let line = Line { bench: "admission", case, metric, value: rounded(value), unit, goal, met };
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        let word = if met == Some(true) { "met" } else { "MISSED" };
        Ok(line.goal.into_iter().map(|goal| format!("{goal} {word}")).collect())
    }

    fn row(&mut self, case: &str, metric: &str, values: [&str; 3], unit: &str, goals: &[String]) {
        let shown = if self.case == case && case != "case" { "" } else { case };
        let [value, floor, ratio] = values;
        let goals = goals.join(", ");
        let row = format!("{shown:<24} {metric:<20} {value:>9} {floor:>9} {ratio:>7} {unit:<9} {goals}");
        println!("{}", row.trim_end());
        case.clone_into(&mut self.case);
    }
}

/// Rounds to the significant digits; more are noise.
fn rounded(value: f64) -> f64 {
    let digits = if value < 10.0 {
        1000.0
    } else if value < 1000.0 {
        10.0
    } else {
        1.0
    };
    (value * digits).round() / digits
}
