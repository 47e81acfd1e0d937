//! Performance goals of the webhook on two cores that it shares with the load generator.

use std::fmt;

/// A bound for a measured value.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Bound {
    /// Whether the value is within the bound.
    pub fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::AtMost(bound) => write!(f, "<= {bound}"),
            Self::Below(bound) => write!(f, "< {bound}"),
        }
    }
}

/// Case, metric and bound.
const GOALS: [(&str, &str, Bound); 9] = [
    ("one connection", "throughput", Bound::AtLeast(6_400.0)),
    ("one connection", "p50 ratio", Bound::AtMost(1.15)),
    ("16 connections", "throughput", Bound::AtLeast(13_000.0)),
    ("16 connections", "throughput ratio", Bound::AtLeast(0.85)),
    ("1000/s on 4 connections", "p99", Bound::Below(1_000.0)),
    ("memory", "caches filled", Bound::AtMost(30.0)),
    ("memory", "after the load", Bound::AtMost(30.0)),
    ("5000 idle connections", "resident", Bound::AtMost(128.0)),
    ("start", "ready", Bound::AtMost(1.0)),
];

/// The goal for a metric, if it has one.
pub fn goal(case: &str, metric: &str) -> Option<Bound> {
    GOALS.iter().find(|goal| (goal.0, goal.1) == (case, metric)).map(|goal| goal.2)
}
