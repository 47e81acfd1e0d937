//! The wish to stop, as the request's owner says it: by deleting the request, or by an annotation on it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cluster::Cluster;
use crate::saga::Failure;
use crate::steps::display_chain;

/// Pause between two looks at the request: the worker may read it, not watch.
const LOOK: Duration = Duration::from_secs(1);

/// Looks at the request for as long as this lives.
pub struct Cancel {
    wish: watch::Receiver<Option<Failure>>,
    looking: JoinHandle<()>,
}

impl Cancel {
    /// Begins to look at the request that `cluster` works for.
    #[must_use]
    pub fn of(cluster: Cluster) -> Self {
        let (said, wish) = watch::channel(None);
        let looking = tokio::spawn(async move {
            loop {
                match cluster.request().await {
                    Ok(request) => {
                        let deleted = request.metadata.deletion_timestamp.is_some();
                        if let Some(failure) = wish_of(deleted, request.is_cancelled()) {
                            said.send_replace(Some(failure));
                            return;
                        }
                    }
                    Err(error) => tracing::warn!("{}", display_chain(&error)),
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        Self { wish, looking }
    }

    /// The wish, if it was heard.
    #[must_use]
    pub fn heard(&self) -> Option<Failure> {
        self.wish.borrow().clone()
    }

    /// The wish, once it is heard.
    pub fn wait(&self) -> impl Future<Output = Failure> + use<> {
        let mut wish = self.wish.clone();
        async move {
            match wish.wait_for(Option::is_some).await.ok().and_then(|wish| wish.clone()) {
                Some(failure) => failure,
                // Nobody looks any more.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

fn wish_of(deleted: bool, cancelled: bool) -> Option<Failure> {
    let how = match (deleted, cancelled) {
        (false, false) => return None,
        (true, _) => "was deleted",
        (false, true) => "was cancelled by its annotation pgops.dev/cancel",
    };
    Some(Failure {
        reason: "Cancelled".to_owned(),
        message: format!("the request {how} while there was a way back"),
        may_pass: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_deleted_or_annotated_is_to_stop() {
        assert_eq!(wish_of(false, false), None);
        for (deleted, cancelled, how) in [(true, true, "deleted"), (false, true, "pgops.dev/cancel")] {
            let wish = wish_of(deleted, cancelled).unwrap();
            assert!(wish.message.contains(how) && !wish.may_pass, "{wish:?}");
        }
    }
}
