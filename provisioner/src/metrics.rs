//! Metrics of the process, for Prometheus. The states of databases are metrics of webhook and launcher.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// The metrics of this process, shared by all clones.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("pgops");
        let leader = Gauge::default();
        registry.register(
            "provisioner_leader",
            "1 while this replica is the leader and builds the databases",
            leader.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", version);
        Self { registry: Arc::new(registry), leader }
    }
}

impl Metrics {
    /// Records that this replica leads. One that no longer does ends.
    pub fn set_leading(&self) {
        self.leader.set(1);
    }

    /// All metrics in the text format of `OpenMetrics`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_testing::metrics::{documented, exposed};

    #[test]
    fn metrics_of_the_provisioner_are_those_documented() {
        let document = include_str!("../../docs/reference/metrics.md");
        assert_eq!(exposed(&Metrics::default().text()), documented(document, "Provisioner"));
    }
}
