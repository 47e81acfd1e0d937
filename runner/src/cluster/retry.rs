//! Retries calls that fail for a reason that passes.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use pgops_kube::status;

/// Retries while the API server is unavailable, busy, or has a newer version of the object: for about a quarter of an
/// hour in all.
pub(super) async fn with_retry<T, F: Future<Output = Result<T, kube::Error>>>(
    call: impl FnMut() -> F,
) -> Result<T, kube::Error> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(100)
        .with_jitter();
    call.retry(backoff).when(is_transient).notify(log_retry).await
}

fn log_retry(error: &kube::Error, _: Duration) {
    match error {
        // Another client wrote first: the change is made again on the newer version, and nothing is wrong.
        kube::Error::Api(status) if is_overtaken(error) => tracing::debug!("{}", status.message),
        kube::Error::Api(status) => {
            tracing::warn!("the API server answered {}; retrying: {}", status.code, status.message);
        }
        other => tracing::warn!("the API server did not answer; retrying: {other}"),
    }
}

fn is_transient(error: &kube::Error) -> bool {
    is_overtaken(error) || status::is_unavailable(error)
}

/// Whether another client was faster, by an update or by a create.
fn is_overtaken(error: &kube::Error) -> bool {
    status::is_conflict(error) || status::is_already_exists(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_transient_errors_are_retried() {
        let api = |code: u16| {
            kube::Error::Api(Box::new(kube::core::Status { code, ..kube::core::Status::default() }))
        };
        assert!(is_transient(&api(503)) && is_transient(&api(409)));
        assert!(!is_transient(&api(403)) && !is_transient(&api(404)));
    }
}
