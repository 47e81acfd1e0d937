//! Metrics of the process, for Prometheus.

mod objects;
mod progress;
mod requests;
mod running;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use pgops_certs::Certificates;
use pgops_http::Observer;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::cache::Caches;
use objects::ObjectMetrics;
pub use progress::{RequestEnd, RequestProgress};
use requests::RequestMetrics;

/// Upper bounds in seconds: a review takes microseconds, one of a large object milliseconds.
const LATENCIES: [f64; 11] = [20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 20e-3, 100e-3, 1.0];

/// The metrics of this process, shared by all clones.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reviews: Family<ReviewLabels, Counter>,
    latencies: Family<WebhookLabel, Histogram>,
    objects: Family<KindLabel, Gauge>,
    phases: ObjectMetrics,
    requests: RequestMetrics,
    expiries: Family<CertificateLabel, Gauge<f64, AtomicU64>>,
    rejected: Gauge,
    leader: Gauge,
    connections: Family<ListenerLabel, Gauge>,
    closed: Family<ClosedLabels, Counter>,
}

/// The labels of an answered review.
#[derive(Clone, Copy, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ReviewLabels {
    /// The webhook that was called.
    pub webhook: &'static str,
    /// The kind of the object.
    pub kind: &'static str,
    /// The decision.
    pub verdict: &'static str,
    /// Why the review was denied.
    pub reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WebhookLabel {
    webhook: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ListenerLabel {
    listener: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ClosedLabels {
    listener: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CertificateLabel {
    certificate: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pgops");
        let reviews = Family::<ReviewLabels, Counter>::default();
        let latencies = Family::<WebhookLabel, Histogram>::new_with_constructor(|| Histogram::new(LATENCIES));
        let objects = Family::<KindLabel, Gauge>::default();
        let expiries = Family::<CertificateLabel, Gauge<f64, AtomicU64>>::default();
        let rejected = Gauge::default();
        let leader = Gauge::default();
        let connections = Family::<ListenerLabel, Gauge>::default();
        let closed = Family::<ClosedLabels, Counter>::default();
        registry.register("admission_reviews", "Admission reviews by outcome", reviews.clone());
        registry.register_with_unit(
            "admission_duration",
            "Time from the complete request body to the response",
            Unit::Seconds,
            latencies.clone(),
        );
        registry.register(
            "cache_objects",
            "Objects in the caches that decisions are made from",
            objects.clone(),
        );
        registry.register_with_unit(
            "certificate_expiry_timestamp",
            "Expiry of the certificate in Unix time",
            Unit::Seconds,
            expiries.clone(),
        );
        registry.register(
            "certificate_rejected",
            "1 while the latest certificate is rejected and the previous one is still served",
            rejected.clone(),
        );
        registry.register(
            "launcher_leader",
            "1 while this replica is the leader and creates the Jobs",
            leader.clone(),
        );
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "connections_closed",
            "Connections that ended before their client closed them, by reason",
            closed.clone(),
        );
        let phases = ObjectMetrics::default();
        phases.register(&mut registry);
        let requests = RequestMetrics::default();
        requests.register(&mut registry);
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", version);
        Self(Arc::new(Inner {
            registry,
            reviews,
            latencies,
            objects,
            phases,
            requests,
            expiries,
            rejected,
            leader,
            connections,
            closed,
        }))
    }
}

impl Metrics {
    /// Counts an answered review, and its latency; the latency is none for a body that is not a review.
    pub fn record_review(&self, labels: ReviewLabels, latency: Option<Duration>) {
        self.0.reviews.get_or_create(&labels).inc();
        if let Some(latency) = latency {
            let label = WebhookLabel { webhook: labels.webhook };
            self.0.latencies.get_or_create(&label).observe(latency.as_secs_f64());
        }
    }

    /// Records whether this replica is the leader, which alone observes requests.
    pub fn set_leader(&self, is_leader: bool) {
        self.0.leader.set(is_leader.into());
        if !is_leader {
            self.0.requests.clear();
        }
    }

    /// Records the progress of a request that has not ended.
    pub fn observe_request(&self, progress: RequestProgress) {
        self.0.requests.observe(progress);
    }

    /// Counts a request that has ended.
    pub fn count_end(&self, end: RequestEnd) {
        self.0.requests.count_end(end);
    }

    /// All metrics in the text format of `OpenMetrics`.
    #[must_use]
    pub fn text(&self, caches: &Caches, certificates: &Certificates) -> String {
        let status = certificates.status();
        let expiries = [("serving", status.serving_until), ("authority", status.authority_until)];
        for (certificate, expiry) in expiries {
            let Some(expiry) = expiry else { continue };
            #[allow(clippy::cast_precision_loss, reason = "exact for the next 285 million years")]
            self.0.expiries.get_or_create(&CertificateLabel { certificate }).set(expiry.as_second() as f64);
        }
        self.0.rejected.set(status.rejection.is_some().into());
        for (kind, size) in caches.sizes() {
            self.0.objects.get_or_create(&KindLabel { kind }).set(i64::try_from(size).unwrap_or(i64::MAX));
        }
        self.0.phases.update(caches);
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode_registry(&mut text, &self.0.registry);
        let running = self.0.requests.running_registry(caches, Timestamp::now());
        let _ = encode_registry(&mut text, &running);
        let _ = encode_eof(&mut text);
        text
    }
}

impl Observer for Metrics {
    fn set_connections(&self, listener: &'static str, open: usize) {
        let open = i64::try_from(open).unwrap_or(i64::MAX);
        self.0.connections.get_or_create(&ListenerLabel { listener }).set(open);
    }

    fn count_closed(&self, listener: &'static str, reason: &'static str) {
        self.0.closed.get_or_create(&ClosedLabels { listener, reason }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use insta::assert_snapshot;
    use k8s_openapi::jiff::SignedDuration;
    use kube::runtime::watcher::Event;
    use pgops_api::opsrequest::Phase;
    use pgops_api::plan::Scope;
    use pgops_api::progress::OutageProgress;
    use pgops_testing::metrics::{documented, exposed};
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn reviews_are_counted_by_decision_and_timed_in_seconds() {
        let metrics = Metrics::default();
        let denied = ReviewLabels {
            webhook: "validate",
            kind: "PostgresOpsRequest",
            verdict: "forbidden",
            reason: "Downgrade",
        };
        metrics.record_review(denied, Some(Duration::from_micros(30)));
        metrics.record_review(denied, Some(Duration::from_millis(3)));
        let malformed =
            ReviewLabels { webhook: "mutate", kind: "", verdict: "malformed", reason: "Malformed" };
        metrics.record_review(malformed, None);
        metrics.set_leader(true);
        let text = metrics.text(&Caches::new().0, &Certificates::default());
        let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        lines.sort_unstable();
        assert_snapshot!(lines.join("\n"), @r#"
        pgops_admission_duration_seconds_bucket{le="+Inf",webhook="validate"} 2
        pgops_admission_duration_seconds_bucket{le="0.00002",webhook="validate"} 0
        pgops_admission_duration_seconds_bucket{le="0.00005",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.0001",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.0002",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.0005",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.001",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.002",webhook="validate"} 1
        pgops_admission_duration_seconds_bucket{le="0.005",webhook="validate"} 2
        pgops_admission_duration_seconds_bucket{le="0.02",webhook="validate"} 2
        pgops_admission_duration_seconds_bucket{le="0.1",webhook="validate"} 2
        pgops_admission_duration_seconds_bucket{le="1.0",webhook="validate"} 2
        pgops_admission_duration_seconds_count{webhook="validate"} 2
        pgops_admission_duration_seconds_sum{webhook="validate"} 0.00303
        pgops_admission_reviews_total{webhook="mutate",kind="",verdict="malformed",reason="Malformed"} 1
        pgops_admission_reviews_total{webhook="validate",kind="PostgresOpsRequest",verdict="forbidden",reason="Downgrade"} 2
        pgops_build_info{version="0.1.0"} 1
        pgops_cache_objects{kind="Postgres"} 0
        pgops_cache_objects{kind="PostgresOpsRequest"} 0
        pgops_cache_objects{kind="PostgresVersion"} 0
        pgops_certificate_rejected 0
        pgops_databases_paused 0
        pgops_databases_stuck 0
        pgops_databases{phase="Critical"} 0
        pgops_databases{phase="DataRestoring"} 0
        pgops_databases{phase="Halted"} 0
        pgops_databases{phase="NotReady"} 0
        pgops_databases{phase="Provisioning"} 0
        pgops_databases{phase="Ready"} 0
        pgops_databases{phase="Unknown"} 0
        pgops_launcher_leader 1
        pgops_requests_ended_total{result="Denied",scope="dry-run"} 0
        pgops_requests_ended_total{result="Denied",scope="upgrade"} 0
        pgops_requests_ended_total{result="Failed",scope="dry-run"} 0
        pgops_requests_ended_total{result="Failed",scope="upgrade"} 0
        pgops_requests_ended_total{result="Successful",scope="dry-run"} 0
        pgops_requests_ended_total{result="Successful",scope="upgrade"} 0
        pgops_requests_outage_seconds_bucket{le="+Inf"} 0
        pgops_requests_outage_seconds_bucket{le="1.0"} 0
        pgops_requests_outage_seconds_bucket{le="10.0"} 0
        pgops_requests_outage_seconds_bucket{le="120.0"} 0
        pgops_requests_outage_seconds_bucket{le="1800.0"} 0
        pgops_requests_outage_seconds_bucket{le="2.0"} 0
        pgops_requests_outage_seconds_bucket{le="20.0"} 0
        pgops_requests_outage_seconds_bucket{le="30.0"} 0
        pgops_requests_outage_seconds_bucket{le="300.0"} 0
        pgops_requests_outage_seconds_bucket{le="3600.0"} 0
        pgops_requests_outage_seconds_bucket{le="5.0"} 0
        pgops_requests_outage_seconds_bucket{le="60.0"} 0
        pgops_requests_outage_seconds_bucket{le="600.0"} 0
        pgops_requests_outage_seconds_count 0
        pgops_requests_outage_seconds_sum 0.0
        pgops_requests{phase="Approved"} 0
        pgops_requests{phase="Denied"} 0
        pgops_requests{phase="Failed"} 0
        pgops_requests{phase="Pending"} 0
        pgops_requests{phase="Progressing"} 0
        pgops_requests{phase="Skipped"} 0
        pgops_requests{phase="Successful"} 0
        pgops_requests{phase="WaitingForApproval"} 0
        "#);
    }

    const DOCUMENT: &str = include_str!("../../docs/reference/metrics.md");

    /// With a series of each metric: a family without series is not in the text.
    fn complete_text() -> String {
        let metrics = Metrics::default();
        let labels = ReviewLabels { webhook: "validate", kind: "", verdict: "allowed", reason: "Allowed" };
        metrics.record_review(labels, Some(Duration::ZERO));
        metrics.0.expiries.get_or_create(&CertificateLabel { certificate: "serving" }).set(0.0);
        metrics.set_connections("plain", 0);
        metrics.count_closed("plain", "idle");
        let now = Timestamp::UNIX_EPOCH;
        metrics.observe_request(RequestProgress {
            namespace: "demo".into(),
            request: "upgrade".into(),
            started: Some(now),
            step: Some("1/16 Preflight".parse().unwrap()),
            outage: OutageProgress { ended: None, since: Some(now) },
            waiting: Some(("Blocked".into(), now)),
            ..RequestProgress::default()
        });
        let (result, scope) = (Phase::Successful, Scope::Upgrade);
        metrics.count_end(RequestEnd { result, scope, duration: Some(SignedDuration::ZERO), outage: None });
        let (caches, mut writers) = Caches::new();
        let request = json!({
            "metadata": {"name": "upgrade", "namespace": "demo"},
            "spec": {"type": "UpdateVersion", "databaseRef": {"name": "orders"}},
        });
        writers.requests.apply(Event::Apply(serde_json::from_value(request).unwrap()));
        metrics.text(&caches, &Certificates::default())
    }

    #[test]
    fn metrics_of_webhook_and_launcher_are_those_documented() {
        let text = complete_text();
        assert_eq!(exposed(&text), documented(DOCUMENT, "Webhook and launcher"));
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    }

    /// Those of other programs too: each program has a test that what is documented is what it has.
    #[rstest]
    #[case::dashboard(include_str!("../../charts/pgops/dashboards/pgops.json"))]
    #[case::alerts(include_str!("../../charts/pgops/monitoring/alerts.yaml"))]
    fn queries_of_the_chart_name_only_metrics_that_exist(#[case] file: &str) {
        let is_part = |char: char| char.is_ascii_lowercase() || char == '_';
        let expressions =
            file.lines().filter(|line| line.trim_start().trim_start_matches('"').starts_with("expr"));
        let words = expressions.flat_map(|line| line.split(|char| !is_part(char)));
        let named: Vec<&str> = words.filter(|word| word.starts_with("pgops_")).collect();
        assert!(!named.is_empty());
        let headings = ["Webhook and launcher", "Provisioner", "Instances"];
        let known: BTreeSet<String> =
            headings.iter().flat_map(|heading| documented(DOCUMENT, heading)).collect();
        let is_known = |name: &str| known.contains(name.strip_suffix("_bucket").unwrap_or(name));
        let unknown: Vec<_> = named.into_iter().filter(|name| !is_known(name)).collect();
        assert_eq!(unknown, [""; 0], "of {known:?}");
    }
}
