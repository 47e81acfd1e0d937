//! Admission: a review comes in, a verdict goes out. Reads the caches, and touches nothing.

mod audit;
mod databases;
mod intake;
mod mutation;
mod object;
mod requests;
mod review;
mod verdict;
mod versions;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;

use crate::cache::Caches;
use crate::metrics::Metrics;
use intake::Intake;
pub use review::{Answered, Malformed};
pub use verdict::Outcome;

/// A path that reviews come to.
#[derive(Clone, Copy, Debug)]
pub enum Webhook {
    /// `/mutate`: puts what an object leaves unsaid into it.
    Mutate,
    /// `/validate`: allows or refuses.
    Validate,
}

impl Webhook {
    /// One word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutate => "mutate",
            Self::Validate => "validate",
        }
    }
}

/// Answers the review in a body: a pure function, but for the log.
pub fn answer(caches: &Caches, webhook: Webhook, body: &[u8]) -> Result<Answered, Malformed> {
    review::answer(body, |request| match webhook {
        Webhook::Mutate => mutation::complete(request),
        Webhook::Validate => verdict::judge(caches, request).into(),
    })
}

/// What the handlers share.
struct Admission {
    caches: Arc<Caches>,
    metrics: Metrics,
    intake: Intake,
}

/// The routes `POST /validate` and `POST /mutate`.
pub fn router(caches: Arc<Caches>, metrics: Metrics) -> Router {
    let admission = Arc::new(Admission { caches, metrics, intake: Intake::default() });
    let route = |webhook| {
        let admission = admission.clone();
        post(async move |request: Request| admission.respond(webhook, request).await)
    };
    Router::new()
        .route("/mutate", route(Webhook::Mutate))
        .route("/validate", route(Webhook::Validate))
        .layer(Intake::limit())
}

impl Admission {
    /// 200 for whatever is a review, since any other status is an outage to the API server.
    async fn respond(&self, webhook: Webhook, request: Request) -> Response {
        let body = match self.intake.read(request).await {
            Ok(body) => body,
            Err(refused) => {
                tracing::warn!(error = %refused, "a review could not be received");
                self.metrics.reviewed(webhook, Outcome::MALFORMED, None);
                return refused.into_response();
            }
        };
        let begun = Instant::now();
        match answer(&self.caches, webhook, &body) {
            Ok(Answered { review, outcome, line }) => {
                let response = Json(review).into_response();
                self.metrics.reviewed(webhook, outcome, Some(begun.elapsed()));
                if let Some(line) = line {
                    tokio::spawn(async move { line.write() });
                }
                response
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, bytes = body.len(), "a body is no review");
                self.metrics.reviewed(webhook, Outcome::MALFORMED, None);
                let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                (StatusCode::BAD_REQUEST, format!("{error}{source}\n")).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests;
