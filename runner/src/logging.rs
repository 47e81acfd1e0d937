//! The Job's log, formatted for people: time, step, what happened.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes one line an event: `21:03:11  PgUpgraded               ok    done`.
struct JobLogFormat;

#[derive(Default)]
struct Parts {
    step: String,
    mark: String,
    message: String,
    others: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "step" => self.step = text,
            "mark" => self.mark = text,
            name => self.others.extend([" ", name, "=", &text]),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

impl<S, N> FormatEvent<S, N> for JobLogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut parts = Parts::default();
        event.record(&mut parts);
        let level = *event.metadata().level();
        let mark = match (parts.mark.as_str(), level) {
            ("", Level::ERROR) => "FAIL",
            ("", Level::WARN) => "warn",
            (mark, _) => mark,
        };
        let time = jiff::Timestamp::now().strftime("%H:%M:%S");
        writeln!(writer, "{time}  {:<24} {mark:<5} {}{}", parts.step, parts.message, parts.others)
    }
}

/// Sends every event of this process to standard output.
pub fn init() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PGOPS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).event_format(JobLogFormat).init();
}
