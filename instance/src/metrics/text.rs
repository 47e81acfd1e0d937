//! The metrics of an instance in the text format of `OpenMetrics`. What is not known is left out.

use pgops_volume::Space;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::retired::RetiredData;
use super::statistics::Statistics;

/// Longest version that is shown.
const MAX_VERSION: usize = 32;

/// The state of an instance.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub major: u32,
    /// Whether the server accepts a session.
    pub answers: bool,
    pub server_version: Option<String>,
    pub statistics: Option<Statistics>,
    pub databases_bytes: Option<i64>,
    pub space: Option<Space>,
    pub retired: Vec<RetiredData>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct MajorLabel {
    major: u32,
}

/// The text.
pub fn text(snapshot: &Snapshot) -> String {
    let mut registry = Registry::with_prefix("pgops");
    let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Version of this program", version);
    let instance = registry.sub_registry_with_prefix("instance");
    let answers = i64::from(snapshot.answers);
    gauge(instance, "up", "1 if the server accepts a session", None, answers);
    let labels = [
        ("major", snapshot.major.to_string()),
        ("server_version", snapshot.server_version.as_deref().map(shown_version).unwrap_or_default()),
    ];
    instance.register("server", "Version of the server, empty while it does not answer", Info::new(labels));
    volume(instance, snapshot);
    if let Some(statistics) = &snapshot.statistics {
        sessions(instance, statistics);
        wal(instance, statistics);
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

/// Its first word: an image may have added anything.
fn shown_version(version: &str) -> String {
    let word = version.split_whitespace().next().unwrap_or_default();
    word.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '.').take(MAX_VERSION).collect()
}

fn gauge<N: EncodeGaugeValue + std::fmt::Debug + Send + Sync + 'static>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    value: N,
) {
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, ConstGauge::new(value)),
        None => registry.register(name, help, ConstGauge::new(value)),
    }
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: i64) {
    registry.register(name, help, ConstCounter::new(as_count(value)));
}

fn as_count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn volume(registry: &mut Registry, snapshot: &Snapshot) {
    if let Some(Space { free, size }) = snapshot.space {
        let help = "Size of the file system of the data";
        gauge(registry, "volume_size", help, Some(Unit::Bytes), size);
        let help = "What the server may still write to the file system of the data";
        gauge(registry, "volume_free", help, Some(Unit::Bytes), free);
    }
    if let Some(bytes) = snapshot.databases_bytes {
        let help = "Size of all databases, without WAL, at most five minutes ago";
        gauge(registry, "databases_size", help, Some(Unit::Bytes), bytes);
    }
    let bytes = Family::<MajorLabel, Gauge>::default();
    let expiries = Family::<MajorLabel, Gauge>::default();
    for RetiredData { retired, bytes: size } in &snapshot.retired {
        let label = MajorLabel { major: retired.major };
        expiries.get_or_create(&label).set(retired.until.as_second());
        if let Some(size) = size {
            bytes.get_or_create(&label).set(i64::try_from(*size).unwrap_or(i64::MAX));
        }
    }
    let help = "Size of data that an upgrade has replaced and that is kept";
    registry.register_with_unit("retired_data_size", help, Unit::Bytes, bytes);
    let help = "When that data is deleted, in Unix time";
    registry.register_with_unit("retired_data_expiry_timestamp", help, Unit::Seconds, expiries);
}

fn sessions(registry: &mut Registry, statistics: &Statistics) {
    let help = "1 if the server replays WAL of another one, which makes it a standby";
    gauge(registry, "in_recovery", help, None, i64::from(statistics.in_recovery));
    let connections = Family::<StateLabel, Gauge>::default();
    for (state, number) in [
        ("active", statistics.active),
        ("idle", statistics.idle),
        ("idle_in_transaction", statistics.idle_in_transaction),
        ("other", statistics.other()),
    ] {
        connections.get_or_create(&StateLabel { state }).set(number);
    }
    registry.register("connections", "Connections of clients, by state", connections);
    let help = "Setting max_connections of the server";
    gauge(registry, "max_connections", help, None, statistics.max_connections);
    let help = "Age of the oldest transaction that is open or prepared, 0 if there is none";
    let age = statistics.oldest_transaction.unwrap_or(0.0).max(0.0);
    gauge(registry, "oldest_transaction_age", help, Some(Unit::Seconds), age);
    let left = Family::<KindLabel, Gauge>::default();
    for (kind, number) in statistics.ids_left() {
        left.get_or_create(&KindLabel { kind }).set(number);
    }
    registry.register("wraparound_ids_left", "Ids that are left until the wraparound, by kind", left);
}

fn wal(registry: &mut Registry, statistics: &Statistics) {
    if let Some(position) = statistics.wal_position {
        let help = "Position in the WAL that was written, or replayed by a standby";
        gauge(registry, "wal_position", help, Some(Unit::Bytes), position);
    }
    let checkpoints = Family::<KindLabel, Counter>::default();
    for (kind, number) in
        [("scheduled", statistics.scheduled_checkpoints), ("requested", statistics.requested_checkpoints)]
    {
        checkpoints.get_or_create(&KindLabel { kind }).inc_by(as_count(number));
    }
    registry.register("checkpoints", "Checkpoints, by what caused them", checkpoints);
    counter(registry, "wal_archived", "WAL segments that were archived", statistics.archived);
    let help = "Attempts to archive a WAL segment that failed";
    counter(registry, "wal_archive_failures", help, statistics.archive_failures);
    if let Some(at) = statistics.last_archived {
        let help = "When a WAL segment was last archived, in Unix time";
        gauge(registry, "wal_last_archived_timestamp", help, Some(Unit::Seconds), at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_testing::metrics::{documented, exposed};
    use pgops_volume::Retired;

    fn complete() -> Snapshot {
        let retired = Retired { major: 13, until: "2026-11-30T12:00:00Z".parse().unwrap() };
        Snapshot {
            major: 17,
            answers: true,
            server_version: Some("17.11 (Debian 17.11-1.pgdg13+1)".to_owned()),
            statistics: Some(Statistics {
                max_connections: 100,
                connections: 4,
                active: 1,
                idle: 2,
                transaction_age: 1000,
                wal_position: Some(24_000_000.0),
                last_archived: Some(1_800_000_000.5),
                archived: 7,
                scheduled_checkpoints: 3,
                ..Statistics::default()
            }),
            databases_bytes: Some(30_000_000),
            space: Some(Space { free: 5, size: 10 }),
            retired: vec![RetiredData { retired, bytes: Some(3) }],
        }
    }

    #[test]
    fn metrics_say_what_is_known() {
        let text = text(&complete());
        for line in [
            "pgops_instance_up 1\n",
            "pgops_instance_server_info{major=\"17\",server_version=\"17.11\"} 1\n",
            "pgops_instance_in_recovery 0\n",
            "pgops_instance_volume_free_bytes 5\n",
            "pgops_instance_databases_size_bytes 30000000\n",
            "pgops_instance_connections{state=\"idle\"} 2\n",
            "pgops_instance_connections{state=\"other\"} 1\n",
            "pgops_instance_oldest_transaction_age_seconds 0.0\n",
            "pgops_instance_wraparound_ids_left{kind=\"transaction\"} 2147482648\n",
            "pgops_instance_wal_archived_total 7\n",
            "pgops_instance_checkpoints_total{kind=\"scheduled\"} 3\n",
            "pgops_instance_retired_data_size_bytes{major=\"13\"} 3\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn what_a_silent_server_would_say_is_left_out() {
        let text = text(&Snapshot { major: 17, ..Snapshot::default() });
        assert!(text.contains("pgops_instance_up 0\n"), "{text}");
        assert!(text.contains("pgops_instance_server_info{major=\"17\",server_version=\"\"} 1\n"), "{text}");
        for name in ["connections", "wal_position", "volume_free", "databases_size"] {
            assert!(!text.contains(name), "{name} in {text}");
        }
    }

    #[test]
    fn version_is_bounded_whatever_an_image_reports() {
        assert_eq!(shown_version("17.11 (House \"edition\")"), "17.11");
        assert_eq!(shown_version("19beta1"), "19beta1");
        assert_eq!(shown_version(&format!("{}\"\n", "9".repeat(4000))), "9".repeat(MAX_VERSION));
        assert_eq!(shown_version(""), "");
    }

    #[test]
    fn metrics_of_instances_are_those_documented() {
        let document = include_str!("../../../docs/reference/metrics.md");
        assert_eq!(exposed(&text(&complete())), documented(document, "Instances"));
    }
}
