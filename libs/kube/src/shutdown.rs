//! Termination signals: SIGTERM, which the kubelet sends, and SIGINT, which a terminal sends.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
pub use tokio_util::sync::CancellationToken;

/// The signals that ask a process to stop.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Handles the signals from now on. They no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for the next signal.
    pub async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A token that the first signal cancels. A second signal ends the process at once.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut signals = StopSignals::listen()?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        signals.recv().await;
        tracing::info!("received a termination signal; draining");
        cancelled.cancel();
        signals.recv().await;
        tracing::warn!("received a second termination signal; exiting at once");
        std::process::exit(1);
    });
    Ok(token)
}
