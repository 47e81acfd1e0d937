//! What was measured: a line of JSON each for machines, and a line of a table for people.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::goals;

/// One measured value.
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

/// The lines of one run, written as they come.
pub struct Report {
    file: File,
    case: String,
}

impl Report {
    /// Begins the file anew.
    pub fn begin(directory: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join("admission.jsonl");
        let file = File::create(&path).with_context(|| format!("failed to write {}", path.display()))?;
        println!("{:<26} {:<24} {:>10} {:<10}  goal", "case", "metric", "value", "unit");
        Ok(Self { file, case: String::new() })
    }

    /// Adds a value.
    pub fn add(&mut self, case: &str, metric: &str, value: f64, unit: &str) -> anyhow::Result<()> {
        let bound = goals::goal(case, metric);
        // More digits than these are noise.
        let value = if value < 100.0 { (value * 1000.0).round() / 1000.0 } else { value.round() };
        let met = bound.map(|bound| bound.is_met(value));
        let goal = bound.map(|bound| bound.to_string());
        let verdict = match met {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let shown = if self.case == case { "" } else { case };
        let row = format!(
            "{shown:<26} {metric:<24} {value:>10} {unit:<10}  {} {verdict}",
            goal.as_deref().unwrap_or_default()
        );
        println!("{}", row.trim_end());
        case.clone_into(&mut self.case);
        let line = Line { bench: "admission", case, metric, value, unit, goal, met };
        writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
        Ok(())
    }
}
