//! Cancellation: the request's owner deletes it, or sets the annotation `pgops.dev/cancel` on it.

use std::time::Duration;

use pgops_api::display_chain;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::saga::Failure;

/// Interval between two reads of the request: the worker's role allows get, not watch.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Watches for a cancellation of the request until it is dropped.
pub struct Cancel {
    cancellation: watch::Receiver<Option<Failure>>,
    poller: JoinHandle<()>,
}

impl Cancel {
    /// Starts to watch the request of `cluster`.
    #[must_use]
    pub fn watch(cluster: Cluster) -> Self {
        let (sender, cancellation) = watch::channel(None);
        let poller = tokio::spawn(async move {
            loop {
                match cluster.request().await {
                    Ok(request) => {
                        let deleted = request.metadata.deletion_timestamp.is_some();
                        if let Some(failure) = cancellation_of(deleted, request.is_cancelled()) {
                            sender.send_replace(Some(failure));
                            return;
                        }
                    }
                    Err(error) => tracing::warn!("{}", display_chain(&error)),
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
        Self { cancellation, poller }
    }

    /// The cancellation, if there is one.
    #[must_use]
    pub fn pending(&self) -> Option<Failure> {
        self.cancellation.borrow().clone()
    }

    /// The cancellation, once there is one.
    pub fn wait(&self) -> impl Future<Output = Failure> + use<> {
        let mut cancellation = self.cancellation.clone();
        async move {
            match cancellation.wait_for(Option::is_some).await.ok().and_then(|failure| failure.clone()) {
                Some(failure) => failure,
                // The poller has ended.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

fn cancellation_of(deleted: bool, cancelled: bool) -> Option<Failure> {
    let how = match (deleted, cancelled) {
        (false, false) => return None,
        (true, _) => "was deleted",
        (false, true) => "was cancelled by its annotation pgops.dev/cancel",
    };
    Some(Failure {
        reason: "Cancelled".to_owned(),
        message: format!("the request {how} before the point of no return"),
        retryable: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_or_annotated_request_is_cancelled() {
        assert_eq!(cancellation_of(false, false), None);
        for (deleted, cancelled, how) in [(true, true, "deleted"), (false, true, "pgops.dev/cancel")] {
            let failure = cancellation_of(deleted, cancelled).unwrap();
            assert!(failure.message.contains(how) && !failure.retryable, "{failure:?}");
        }
    }
}
