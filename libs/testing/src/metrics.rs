//! The metrics that a program has, and those that a document lists.

use std::collections::BTreeSet;

/// Names of the metrics in a text of the `OpenMetrics` format, as a query has them; of a histogram without its suffixes.
#[must_use]
pub fn exposed(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types
        .map(|(name, type_)| match type_ {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect()
}

/// Names of the metrics in the first column of the tables below a heading.
#[must_use]
pub fn documented(document: &str, heading: &str) -> BTreeSet<String> {
    let is_heading = |line: &&str| line.starts_with('#');
    let is_sought = |line: &&str| is_heading(line) && line.trim_start_matches(['#', ' ']) == heading;
    let section = document.lines().skip_while(|line| !is_sought(line)).skip(1);
    let rows = section.take_while(|line| !is_heading(line)).filter_map(|line| line.strip_prefix("| `pgops_"));
    let names: BTreeSet<String> =
        rows.filter_map(|row| Some(format!("pgops_{}", row.split_once('`')?.0))).collect();
    assert!(!names.is_empty(), "no metrics below the heading {heading}");
    names
}
