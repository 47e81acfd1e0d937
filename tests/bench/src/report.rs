//! The results: one JSON line per metric for machines, and one table row for people.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::metric::Metric;

/// Goals: metrics and their upper bounds.
const GOALS: [(&str, f64); 4] =
    [("ratio", 1.3), ("growth", 1.1), ("preflight", 120.0), ("error of the estimate", 0.25)];

/// One metric of a case, in JSON.
#[derive(Debug, PartialEq, Serialize)]
struct Line<'a> {
    bench: &'static str,
    case: &'a str,
    metric: &'a str,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    met: Option<bool>,
}

impl<'a> Line<'a> {
    fn new(bench: &'static str, case: &'a str, metric: &'a Metric) -> Self {
        let bound = GOALS.iter().find(|goal| goal.0 == metric.name).map(|goal| goal.1);
        Self {
            bench,
            case,
            metric: &metric.name,
            value: rounded(metric.value),
            unit: metric.unit,
            goal: bound.map(|bound| format!("<= {bound}")),
            met: bound.map(|bound| metric.value <= bound),
        }
    }
}

/// The results of one run, written as they become available.
pub struct Report {
    bench: &'static str,
    file: File,
}

impl Report {
    /// Truncates the file of a benchmark.
    pub fn create(directory: &Path, bench: &'static str) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join(format!("{bench}.jsonl"));
        File::create(&path)
            .map(|file| Self { bench, file })
            .with_context(|| format!("failed to write {}", path.display()))
    }

    /// Adds the metrics of a case.
    pub fn add(&mut self, case: &str, metrics: &[Metric]) -> anyhow::Result<()> {
        println!("\n{case}");
        for metric in metrics {
            let line = Line::new(self.bench, case, metric);
            writeln!(self.file, "{}", serde_json::to_string(&line)?)?;
            let goal = line.goal.as_deref().unwrap_or_default();
            let met = line.met.map_or("", |met| if met { "met" } else { "MISSED" });
            let row = format!("  {:<32} {:>9} {:<3} {goal} {met}", line.metric, line.value, line.unit);
            println!("{}", row.trim_end());
        }
        Ok(())
    }
}

/// Further digits are noise.
fn rounded(value: f64) -> f64 {
    let digits = if value < 100.0 { 1000.0 } else { 1.0 };
    (value * digits).round() / digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_shows_whether_the_goal_is_met() {
        let line = |value| {
            serde_json::to_string(&Line::new("upgrade", "a/link", &Metric::new("ratio", value, ""))).unwrap()
        };
        let met = r#"{"bench":"upgrade","case":"a/link","metric":"ratio","value":1.25,"unit":"","goal":"<= 1.3","met":true}"#;
        assert_eq!(line(1.25), met);
        assert!(line(1.3004).ends_with(r#""value":1.3,"unit":"","goal":"<= 1.3","met":false}"#));
    }

    #[test]
    fn line_without_a_goal_is_neither_met_nor_missed() {
        let line =
            serde_json::to_string(&Line::new("upgrade", "a/link", &Metric::new("outage", 6.78912, "s")))
                .unwrap();
        assert!(line.ends_with(r#""value":6.789,"unit":"s","goal":null,"met":null}"#), "{line}");
    }
}
