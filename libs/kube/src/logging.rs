//! The log's format and filter.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Format of the log: the flag `--log-format`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum LogFormat {
    /// A line of text for each event.
    Text,
    /// A JSON object for each event.
    Json,
}

/// The filter in `RUST_LOG`, or the default one if there is none that can be parsed.
#[must_use]
pub fn filter(default: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default))
}

/// Writes the events of this process to standard output.
pub fn init(format: LogFormat, default_filter: &str) {
    let log = tracing_subscriber::fmt().with_env_filter(filter(default_filter)).with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}
