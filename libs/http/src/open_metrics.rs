//! The format of metrics.

/// Content type of metrics in the text format of `OpenMetrics`, in which every program has them.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
