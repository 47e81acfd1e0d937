//! Metrics of requests that run or wait, and of those that have ended. The leader of the launcher observes them: another
//! process has none.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use pgops_api::PostgresOpsRequest;
use pgops_api::opsrequest::Phase;
use pgops_api::plan::Scope;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::progress::{RequestEnd, RequestProgress};
use super::running;
use crate::cache::Caches;

/// How many requests are shown: each has some series of its own.
const MAX_SHOWN: usize = 200;

/// Upper bounds in seconds.
const DURATIONS: [f64; 11] =
    [10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0];
const OUTAGES: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];

/// The phases in which requests end.
const RESULTS: [Phase; 3] = [Phase::Successful, Phase::Failed, Phase::Denied];

/// What the launcher has observed.
pub struct RequestMetrics {
    /// By namespace and name.
    running: Mutex<BTreeMap<(String, String), RequestProgress>>,
    ended: Family<EndLabels, Counter>,
    durations: Family<ScopeLabel, Histogram>,
    outages: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct EndLabels {
    result: String,
    scope: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ScopeLabel {
    scope: &'static str,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let ended = Family::<EndLabels, Counter>::default();
        // A counter that does not exist before its first event hides that event from a query for increases.
        for (result, scope) in RESULTS.iter().flat_map(|it| [(it, Scope::Upgrade), (it, Scope::DryRun)]) {
            ended.get_or_create(&EndLabels::new(*result, scope)).inc_by(0);
        }
        Self {
            running: Mutex::default(),
            ended,
            durations: Family::<ScopeLabel, Histogram>::new_with_constructor(|| Histogram::new(DURATIONS)),
            outages: Histogram::new(OUTAGES),
        }
    }
}

impl RequestMetrics {
    /// Registers the metrics of ended requests.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("requests_ended", "Requests that ended, by result", self.ended.clone());
        registry.register_with_unit(
            "requests_duration",
            "Time from the acknowledgement of a request to its end",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "requests_outage",
            "Time for which a request had its database accept no writes",
            Unit::Seconds,
            self.outages.clone(),
        );
    }

    /// Replaces what is known of a request that has not ended.
    pub fn observe(&self, progress: RequestProgress) {
        let key = (progress.namespace.clone(), progress.request.clone());
        self.running().insert(key, progress);
    }

    /// Forgets all requests: another replica observes them.
    pub fn clear(&self) {
        self.running().clear();
    }

    /// Counts a request that has ended.
    pub fn count_end(&self, end: RequestEnd) {
        self.ended.get_or_create(&EndLabels::new(end.result, end.scope)).inc();
        if let Some(duration) = end.duration {
            let label = ScopeLabel { scope: scope_label(end.scope) };
            self.durations.get_or_create(&label).observe(duration.as_secs_f64());
        }
        if let Some(outage) = end.outage {
            self.outages.observe(outage);
        }
    }

    /// The metrics of requests that have not ended. Those that the caches no longer have so are forgotten.
    pub fn running_registry(&self, caches: &Caches, now: Timestamp) -> Registry {
        let active = caches.requests_where(PostgresOpsRequest::is_active);
        let active: HashSet<_> = active
            .iter()
            .map(|request| (request.namespace().unwrap_or_default(), request.name_any()))
            .collect();
        let mut running = self.running();
        running.retain(|key, _| active.contains(key));
        let mut shown: Vec<&RequestProgress> = running.values().collect();
        // Those that run before those that wait.
        shown.sort_by_key(|progress| progress.started.is_none());
        shown.truncate(MAX_SHOWN);
        running::registry(&shown, now)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<(String, String), RequestProgress>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EndLabels {
    fn new(result: Phase, scope: Scope) -> Self {
        Self { result: format!("{result:?}"), scope: scope_label(scope) }
    }
}

fn scope_label(scope: Scope) -> &'static str {
    match scope {
        Scope::Upgrade => "upgrade",
        Scope::DryRun => "dry-run",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::SignedDuration;
    use kube::runtime::watcher::Event;
    use prometheus_client::encoding::text::encode;
    use serde_json::json;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    fn progress(request: &str) -> RequestProgress {
        RequestProgress {
            namespace: "demo".into(),
            request: request.into(),
            database: "orders".into(),
            started: Some(Timestamp::UNIX_EPOCH),
            ..RequestProgress::default()
        }
    }

    fn caches(requests: &[(&str, &str)]) -> Caches {
        let (caches, mut writers) = Caches::new();
        for (name, phase) in requests {
            let request = json!({
                "metadata": {"name": name, "namespace": "demo"},
                "spec": {"type": "UpdateVersion", "databaseRef": {"name": "orders"}}, "status": {"phase": phase},
            });
            writers.requests.apply(Event::Apply(serde_json::from_value(request).unwrap()));
        }
        caches
    }

    #[test]
    fn request_is_shown_until_it_ends_or_is_deleted() {
        let metrics = RequestMetrics::default();
        for name in ["runs", "ended", "deleted"] {
            metrics.observe(progress(name));
        }
        let caches = caches(&[("runs", "Progressing"), ("ended", "Successful")]);
        let shown = text(&metrics.running_registry(&caches, Timestamp::UNIX_EPOCH));
        assert!(shown.contains("request=\"runs\""), "{shown}");
        assert!(!shown.contains("request=\"ended\"") && !shown.contains("request=\"deleted\""), "{shown}");
        metrics.clear();
        let shown = text(&metrics.running_registry(&caches, Timestamp::UNIX_EPOCH));
        assert!(!shown.contains("request=\"runs\""), "{shown}");
    }

    #[test]
    fn number_of_shown_requests_is_limited_to_those_that_run_first() {
        let metrics = RequestMetrics::default();
        let names: Vec<_> = (0..MAX_SHOWN + 10).map(|number| format!("waits-{number}")).collect();
        for name in &names {
            metrics.observe(RequestProgress { started: None, ..progress(name) });
        }
        metrics.observe(progress("z-runs"));
        let requests: Vec<_> =
            names.iter().map(|name| (name.as_str(), "Pending")).chain([("z-runs", "Progressing")]).collect();
        let shown = text(&metrics.running_registry(&caches(&requests), Timestamp::UNIX_EPOCH));
        assert!(shown.contains("request=\"z-runs\""), "{shown}");
        assert_eq!(shown.matches("pgops_request_failed_attempts{").count(), MAX_SHOWN);
    }

    #[test]
    fn ended_requests_are_counted_by_result_with_their_durations() {
        let metrics = RequestMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let (result, scope) = (Phase::Successful, Scope::Upgrade);
        let duration = Some(SignedDuration::from_secs(90));
        metrics.count_end(RequestEnd { result, scope, duration, outage: Some(5.6) });
        metrics.count_end(RequestEnd { result: Phase::Denied, scope, duration: None, outage: None });
        let text = text(&registry);
        for line in [
            "requests_ended_total{result=\"Successful\",scope=\"upgrade\"} 1\n",
            "requests_ended_total{result=\"Denied\",scope=\"upgrade\"} 1\n",
            "requests_ended_total{result=\"Failed\",scope=\"dry-run\"} 0\n",
            "requests_duration_seconds_bucket{le=\"120.0\",scope=\"upgrade\"} 1\n",
            "requests_outage_seconds_bucket{le=\"5.0\"} 0\n",
            "requests_outage_seconds_bucket{le=\"10.0\"} 1\n",
            "requests_outage_seconds_count 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
