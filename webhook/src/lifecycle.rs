//! Beginning and end of the process: what it waits for, and that it was told to go.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What must be there before the API server may be sent here, and whether the process is going.
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

    /// What is missing; nothing if the process is ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }
}

/// Whether the process was told to end.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens to SIGTERM and SIGINT. A second one ends the process at once.
    pub fn on_signal() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("failed to listen to signals");
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let (sender, receiver) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::info!("told to end: drains");
            sender.send_replace(true);
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("told to end again: ends at once");
            std::process::exit(1);
        });
        Ok(Self(receiver))
    }

    /// Waits until the process was told to end.
    pub async fn begun(&self) {
        // The sender lives in a task that never ends; if it did, ending would be right too.
        let _ = self.0.clone().wait_for(|begun| *begun).await;
    }

    /// Whether the process was told to end.
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
    fn is_ready_only_when_nothing_is_missing() {
        let readiness = Readiness::awaiting(&["certificate", "caches"]);
        readiness.met("caches");
        assert_eq!(readiness.missing(), ["certificate"]);
        readiness.met("certificate");
        assert!(readiness.missing().is_empty());
        readiness.lose("draining");
        assert_eq!(readiness.missing(), ["draining"]);
    }
}
