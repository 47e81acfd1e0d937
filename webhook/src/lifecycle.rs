//! Start and end of the process: readiness and shutdown.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The conditions that must hold before the API server may send reviews here.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<BTreeSet<&'static str>>>);

impl Readiness {
    /// Not ready until each of these conditions is [met](Self::set_met).
    #[must_use]
    pub fn requiring(conditions: &[&'static str]) -> Self {
        Self(Arc::new(watch::Sender::new(conditions.iter().copied().collect())))
    }

    /// The condition holds from now on.
    pub fn set_met(&self, condition: &'static str) {
        self.0.send_modify(|unmet| {
            unmet.remove(condition);
        });
    }

    /// The condition no longer holds; also adds one.
    pub fn set_unmet(&self, condition: &'static str) {
        self.0.send_modify(|unmet| {
            unmet.insert(condition);
        });
    }

    /// The unmet conditions; none if the process is ready.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }
}

/// Whether the process received a termination signal.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for SIGTERM and SIGINT. A second one ends the process immediately.
    pub fn on_signal() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen for signals");
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("received a termination signal; draining");
            sender.send_replace(true);
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("received a second termination signal; exiting immediately");
            std::process::exit(1);
        });
        Ok(Self(receiver))
    }

    /// Waits for a termination signal.
    pub async fn begun(&self) {
        // The sender lives in a task that never ends; if it did, shutting down would be right too.
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }

    /// Whether the process received a termination signal.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    #[cfg(test)]
    pub(crate) fn manual() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
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
