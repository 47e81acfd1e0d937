//! What is logged: one line for an event that an operator would act on, and never what is in a request or a file.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::Method;
use pgops_api::display_chain;
use pgops_http::Throttle;
use tokio::time::Instant;

use crate::refusal::Refusal;
use crate::upstream::UpstreamError;

/// As much of a path as is logged.
const SHOWN: usize = 200;

/// The log of a proxy.
#[derive(Default)]
pub struct Log {
    refusals: Mutex<BTreeMap<&'static str, Throttle>>,
    limit: Throttle,
    failure: Throttle,
    unreadable: Throttle,
    silent_since: Mutex<Option<Instant>>,
}

impl Log {
    /// A request was refused. Logged once a minute for each kind, since a client may repeat it without end.
    pub fn refused(&self, refusal: &Refusal, method: &Method, target: &str) {
        let kind = refusal.kind();
        let Some(suppressed) = lock(&self.refusals).entry(kind).or_default().permit() else { return };
        let path: String = target.split('?').next().unwrap_or_default().chars().take(SHOWN).collect();
        let reason = display_chain(refusal);
        tracing::warn!(kind, %method, ?path, reason, suppressed, "refused a request");
    }

    /// A connection was closed since there are too many.
    pub fn limited(&self, limit: usize) {
        if let Some(suppressed) = self.limit.permit() {
            tracing::warn!(limit, suppressed, "closed a connection: there are too many");
        }
    }

    /// The API server could not be reached.
    pub fn failed(&self, error: &UpstreamError) {
        if let Some(suppressed) = self.failure.permit() {
            self.note_silence();
            tracing::warn!(error = display_chain(error), suppressed, "the API server cannot be reached");
        }
    }

    /// The client has given up a request to which the API server had not responded.
    pub fn given_up(&self) {
        if let Some(suppressed) = self.failure.permit() {
            self.note_silence();
            tracing::warn!(suppressed, "the API server has not responded before the client gave up");
        }
    }

    /// The API server has responded. Logged only after a failure that was logged.
    pub fn responded(&self) {
        if let Some(since) = lock(&self.silent_since).take() {
            tracing::info!(seconds = since.elapsed().as_secs(), "the API server responds again");
        }
    }

    /// The API server has sent something else than the object that was requested.
    pub fn unreadable(&self, error: &serde_json::Error) {
        if let Some(suppressed) = self.unreadable.permit() {
            tracing::warn!(%error, suppressed, "failed to read the response of the API server");
        }
    }

    fn note_silence(&self) {
        lock(&self.silent_since).get_or_insert_with(Instant::now);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
