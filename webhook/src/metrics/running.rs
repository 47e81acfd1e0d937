//! The series of requests that have not ended.

use std::sync::atomic::{AtomicI64, AtomicU64};

use k8s_openapi::jiff::Timestamp;
use pgops_api::progress::{OutageProgress, StepProgress};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::progress::RequestProgress;

/// Longest reason that is shown: others than pgops may have written it.
const MAX_REASON: usize = 64;

type Gauges<L, N = i64, A = AtomicI64> = Family<L, Gauge<N, A>>;

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    namespace: String,
    database: String,
    request: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct StepLabels {
    namespace: String,
    database: String,
    request: String,
    step: String,
    direction: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct WaitingLabels {
    namespace: String,
    database: String,
    request: String,
    reason: String,
}

/// The series of all these requests at `now`.
pub fn registry(requests: &[&RequestProgress], now: Timestamp) -> Registry {
    let step = Gauges::<StepLabels>::default();
    let steps = Gauges::<RequestLabels>::default();
    let started = Gauges::<RequestLabels>::default();
    let attempts = Gauges::<RequestLabels>::default();
    let restarts = Gauges::<RequestLabels>::default();
    let outage = Gauges::<RequestLabels, f64, AtomicU64>::default();
    let outage_since = Gauges::<RequestLabels>::default();
    let waiting = Gauges::<WaitingLabels>::default();
    for progress in requests {
        let RequestProgress { namespace, database, request, .. } = progress;
        let (namespace, database, request) = (namespace.clone(), database.clone(), request.clone());
        let labels = RequestLabels {
            namespace: namespace.clone(),
            database: database.clone(),
            request: request.clone(),
        };
        attempts.get_or_create(&labels).set(progress.failed_attempts.into());
        restarts.get_or_create(&labels).set(progress.worker_restarts.into());
        outage.get_or_create(&labels).set(seconds(progress.outage, now));
        if let Some(at) = progress.started {
            started.get_or_create(&labels).set(at.as_second());
        }
        if let Some(since) = progress.outage.since {
            outage_since.get_or_create(&labels).set(since.as_second());
        }
        if let Some(StepProgress { number, steps: all, name, undo }) = &progress.step {
            steps.get_or_create(&labels).set((*all).into());
            let direction = if *undo { "undo" } else { "forward" };
            let labels = StepLabels {
                namespace: namespace.clone(),
                database: database.clone(),
                request: request.clone(),
                step: name.clone(),
                direction,
            };
            step.get_or_create(&labels).set((*number).into());
        }
        if let Some((reason, since)) = &progress.waiting {
            let reason = reason.chars().take(MAX_REASON).collect();
            let labels = WaitingLabels { namespace, database, request, reason };
            waiting.get_or_create(&labels).set(since.as_second());
        }
    }
    let mut all = Registry::with_prefix("pgops_request");
    all.register("step", "Number of the running step of a request", step);
    all.register("steps", "Number of all its steps", steps);
    let help = "When the Job of a running request was created, in Unix time";
    all.register_with_unit("start_timestamp", help, Unit::Seconds, started);
    all.register("failed_attempts", "Attempts of the running step that failed", attempts);
    all.register("worker_restarts", "Pods of its Job, and their containers, that were replaced", restarts);
    let help = "Time for which the database of the request has accepted no writes so far";
    all.register_with_unit("outage", help, Unit::Seconds, outage);
    let help = "Since when that database accepts no writes, in Unix time";
    all.register_with_unit("outage_start_timestamp", help, Unit::Seconds, outage_since);
    let help = "Since when a request waits, in Unix time, by reason";
    all.register_with_unit("waiting_start_timestamp", help, Unit::Seconds, waiting);
    all
}

/// All outages together, up to now if one lasts.
fn seconds(outage: OutageProgress, now: Timestamp) -> f64 {
    let lasts = outage.since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
    outage.ended.unwrap_or(0.0) + lasts
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shown(progress: &RequestProgress) -> String {
        let mut text = String::new();
        encode(&mut text, &registry(&[progress], at(1000))).unwrap();
        text
    }

    fn upgrade() -> RequestProgress {
        RequestProgress {
            namespace: "demo".into(),
            request: "orders-17".into(),
            database: "orders".into(),
            started: Some(at(600)),
            step: Some("7/16 PgUpgraded".parse().unwrap()),
            failed_attempts: 1,
            worker_restarts: 2,
            outage: OutageProgress { ended: Some(6.5), since: Some(at(990)) },
            waiting: None,
        }
    }

    #[test]
    fn running_request_has_its_step_and_its_outage_so_far() {
        let text = shown(&upgrade());
        let labels = "namespace=\"demo\",database=\"orders\",request=\"orders-17\"";
        for line in [
            format!("pgops_request_step{{{labels},step=\"PgUpgraded\",direction=\"forward\"}} 7\n"),
            format!("pgops_request_steps{{{labels}}} 16\n"),
            format!("pgops_request_start_timestamp_seconds{{{labels}}} 600\n"),
            format!("pgops_request_failed_attempts{{{labels}}} 1\n"),
            format!("pgops_request_worker_restarts{{{labels}}} 2\n"),
            format!("pgops_request_outage_seconds{{{labels}}} 16.5\n"),
            format!("pgops_request_outage_start_timestamp_seconds{{{labels}}} 990\n"),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
        assert!(!text.contains("pgops_request_waiting"), "{text}");
    }

    #[test]
    fn outage_that_has_ended_no_longer_grows() {
        let outage = OutageProgress { ended: Some(6.5), since: None };
        let text = shown(&RequestProgress { outage, ..upgrade() });
        assert!(text.contains("request=\"orders-17\"} 6.5\n"), "{text}");
        assert!(!text.contains("outage_start"), "{text}");
    }

    #[test]
    fn waiting_request_says_why_and_since_when() {
        let waiting = Some(("Blocked".to_owned(), at(700)));
        let text = shown(&RequestProgress { waiting, started: None, step: None, ..upgrade() });
        let series = "pgops_request_waiting_start_timestamp_seconds{namespace=\"demo\",database=\"orders\",\
                      request=\"orders-17\",reason=\"Blocked\"} 700\n";
        assert!(text.contains(series), "{text}");
        assert!(!text.contains("pgops_request_start_timestamp"), "{text}");
    }

    #[test]
    fn reason_is_bounded_and_cannot_add_lines() {
        let waiting = Some((format!("a\n{}", "b".repeat(1000)), at(700)));
        let text = shown(&RequestProgress { waiting, ..upgrade() });
        assert!(text.contains("reason=\"a\\nbb") && !text.contains(&"b".repeat(MAX_REASON)), "{text}");
    }
}
