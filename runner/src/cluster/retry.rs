//! Retries calls that fail for a reason that passes.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

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
        kube::Error::Api(status) if status.code == 409 => tracing::debug!("{}", status.message),
        kube::Error::Api(status) => {
            tracing::warn!("the API server answered {}; retrying: {}", status.code, status.message);
        }
        other => tracing::warn!("the API server did not answer; retrying: {other}"),
    }
}

fn is_transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 409 | 429 | 500 | 502..=504),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
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
