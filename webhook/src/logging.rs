//! The log on standard error.

use std::io::IsTerminal;

use pgops_kube::logging::{self, LogFormat};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// Lines that may be buffered; the crate's default reserves memory for 128,000 of them, 4 MiB, from the
/// start.
const BUFFERED_LINES: usize = 4096;

/// Starts logging. A thread writes the lines, in batches under load; none is ever dropped. The guard writes
/// the remaining lines when it is dropped.
pub fn log_to_stderr(format: LogFormat) -> WorkerGuard {
    // The client also returns the errors that it logs, and the caller reports them with their context.
    let filter = logging::filter("info,kube_client::client::builder=off");
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(BUFFERED_LINES)
        .lossy(false)
        .finish(std::io::BufWriter::new(std::io::stderr()));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    guard
}
