//! What a process waits for before it is ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

/// The conditions that must hold before the process is sent requests.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeSet<&'static str>>>);

impl Readiness {
    /// Not ready until each of these has been [met](Self::met).
    #[must_use]
    pub fn awaiting(conditions: &[&'static str]) -> Self {
        Self(Arc::new(watch::Sender::new(conditions.iter().copied().collect())))
    }

    /// One of the conditions holds from now on.
    pub fn met(&self, condition: &'static str) {
        self.0.send_modify(|missing| {
            missing.remove(condition);
        });
    }

    /// Not ready any more, for this reason.
    pub fn lose(&self, condition: &'static str) {
        self.0.send_modify(|missing| {
            missing.insert(condition);
        });
    }

    /// The conditions that do not hold; empty if the process is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_requires_every_condition() {
        let readiness = Readiness::awaiting(&["certificate", "caches"]);
        readiness.met("caches");
        assert_eq!(readiness.missing(), ["certificate"]);
        readiness.met("certificate");
        assert!(readiness.missing().is_empty());
        readiness.lose("draining");
        assert_eq!(readiness.missing(), ["draining"]);
    }
}
