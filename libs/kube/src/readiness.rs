//! What a process waits for before it is ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

/// The conditions that must hold before the process is sent requests.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeSet<&'static str>>>);

impl Readiness {
    /// Not ready until each of these has been [met](Self::set_met).
    #[must_use]
    pub fn requiring(conditions: &[&'static str]) -> Self {
        Self(Arc::new(watch::Sender::new(conditions.iter().copied().collect())))
    }

    /// One of the conditions holds from now on.
    pub fn set_met(&self, condition: &'static str) {
        self.0.send_modify(|unmet| {
            unmet.remove(condition);
        });
    }

    /// Not ready any more, for this reason.
    pub fn set_unmet(&self, condition: &'static str) {
        self.0.send_modify(|unmet| {
            unmet.insert(condition);
        });
    }

    /// The conditions that do not hold; empty if the process is ready.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_requires_every_condition() {
        let readiness = Readiness::requiring(&["certificate", "caches"]);
        readiness.set_met("caches");
        assert_eq!(readiness.unmet(), ["certificate"]);
        readiness.set_met("certificate");
        assert!(readiness.unmet().is_empty());
        readiness.set_unmet("draining");
        assert_eq!(readiness.unmet(), ["draining"]);
    }
}
