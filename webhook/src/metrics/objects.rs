//! Metrics of the databases and requests that the caches hold.

use std::fmt::Debug;

use pgops_api::Postgres;
use pgops_api::opsrequest::Phase;
use pgops_api::plan::pause_owner_uid;
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
    stuck: Gauge,
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
        let help = "Databases that are paused by a request that has ended";
        registry.register("databases_stuck", help, self.stuck.clone());
        registry.register("requests", "Requests that pgops executes, by phase", self.requests.clone());
    }

    /// Counts the objects.
    pub fn update(&self, caches: &Caches) {
        let databases = caches.databases_where(|_| true);
        count(&self.databases, &PostgresPhase::ALL, databases.iter().map(|database| database.phase()));
        self.paused.set(as_gauge(databases.iter().filter(|database| database.paused().is_some()).count()));
        self.stuck.set(as_gauge(databases.iter().filter(|database| is_stuck(database, caches)).count()));
        let requests = caches.requests_where(|request| caches.executes(request.spec.type_));
        count(&self.requests, &Phase::ALL, requests.iter().map(|request| request.phase()));
    }
}

/// Whether it is paused by a request that has ended, or no longer exists, and that nothing but an operator resumes.
fn is_stuck(database: &Postgres, caches: &Caches) -> bool {
    let paused = database.paused().and_then(|paused| pause_owner_uid(paused.message.as_deref()?));
    let namespace = database.metadata.namespace.as_deref().unwrap_or_default();
    let name = database.metadata.name.as_deref().unwrap_or_default();
    paused.is_some() && !caches.active(namespace, name).iter().any(|request| database.is_paused_by(request))
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
    fn database_is_stuck_if_the_request_that_paused_it_does_not_run() {
        let stuck = |paused_by: &str, phase: &str| {
            let (caches, mut writers) = Caches::new();
            let pause = json!({"type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
                "message": format!("paused by {paused_by}")});
            let database = json!({
                "metadata": {"name": "orders", "namespace": "demo"}, "spec": {"version": "13.16"},
                "status": {"phase": "Ready", "conditions": [pause]},
            });
            let request = json!({
                "metadata": {"name": "upgrade", "namespace": "demo", "uid": "u"},
                "spec": {"type": "UpdateVersion", "databaseRef": {"name": "orders"}}, "status": {"phase": phase},
            });
            writers.databases.apply(Event::Apply(serde_json::from_value(database).unwrap()));
            writers.requests.apply(Event::Apply(serde_json::from_value(request).unwrap()));
            let metrics = ObjectMetrics::default();
            metrics.update(&caches);
            metrics.stuck.get() == 1
        };
        assert!(!stuck("request upgrade (uid u)", "Progressing"));
        assert!(stuck("request upgrade (uid u)", "Failed"));
        assert!(stuck("request earlier (uid another)", "Pending"));
        assert!(!stuck("hand", "Failed"), "an operator paused it by hand");
    }

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
        for (name, type_) in [("upgrade", "UpdateVersion"), ("scale", "HorizontalScaling")] {
            let request = json!({
                "metadata": {"name": name, "namespace": "demo", "uid": name},
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
