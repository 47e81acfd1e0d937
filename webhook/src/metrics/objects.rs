//! Metrics of the databases and requests that the caches hold.

use std::fmt::Debug;

use pgops_api::opsrequest::Phase;
use pgops_api::postgres::PostgresPhase;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::cache::Caches;

/// How many objects are in which state.
#[derive(Default)]
pub struct ObjectMetrics {
    databases: Family<PhaseLabel, Gauge>,
    paused: Gauge,
    requests: Family<PhaseLabel, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PhaseLabel {
    phase: String,
}

impl ObjectMetrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("databases", "Databases by phase", self.databases.clone());
        registry.register("databases_paused", "Databases with the condition Paused", self.paused.clone());
        registry.register("requests", "Requests for upgrades by phase", self.requests.clone());
    }

    /// Counts the objects.
    pub fn update(&self, caches: &Caches) {
        let databases = caches.databases_where(|_| true);
        count(&self.databases, &PostgresPhase::ALL, databases.iter().map(|database| database.phase()));
        self.paused.set(as_gauge(databases.iter().filter(|database| database.paused().is_some()).count()));
        let requests = caches.requests_where(pgops_api::PostgresOpsRequest::updates_version);
        count(&self.requests, &Phase::ALL, requests.iter().map(|request| request.phase()));
    }
}

/// Sets the number of each phase. One that no object has is 0: a query could not compare a number that is missing.
fn count<P: Copy + Debug + PartialEq>(
    family: &Family<PhaseLabel, Gauge>,
    all: &[P],
    found: impl Iterator<Item = P>,
) {
    let found: Vec<P> = found.collect();
    for phase in all {
        let number = found.iter().filter(|other| *other == phase).count();
        family.get_or_create(&PhaseLabel { phase: format!("{phase:?}") }).set(as_gauge(number));
    }
}

fn as_gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::runtime::watcher::Event;
    use prometheus_client::encoding::text::encode;
    use serde_json::json;

    #[test]
    fn objects_are_counted_by_phase_with_those_that_no_object_has() {
        let (caches, mut writers) = Caches::new();
        let pause = json!({"type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z"});
        for (name, phase, conditions) in [("orders", "Ready", json!([pause])), ("shop", "Ready", json!([]))] {
            let database = json!({
                "metadata": {"name": name, "namespace": "demo"}, "spec": {"version": "13.16"},
                "status": {"phase": phase, "conditions": conditions},
            });
            writers.databases.apply(Event::Apply(serde_json::from_value(database).unwrap()));
        }
        for (name, type_) in [("upgrade", "UpdateVersion"), ("restart", "Restart")] {
            let request = json!({
                "metadata": {"name": name, "namespace": "demo"},
                "spec": {"type": type_, "databaseRef": {"name": "orders"}}, "status": {"phase": "Failed"},
            });
            writers.requests.apply(Event::Apply(serde_json::from_value(request).unwrap()));
        }
        let metrics = ObjectMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.update(&caches);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "databases{phase=\"Ready\"} 2\n",
            "databases{phase=\"NotReady\"} 0\n",
            "databases_paused 1\n",
            "requests{phase=\"Failed\"} 1\n",
            "requests{phase=\"Progressing\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
