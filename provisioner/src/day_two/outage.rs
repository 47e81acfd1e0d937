//! How long a database does not serve while its pod is replaced: from the moment at which the deletion of a pod that is ready is
//! decided until the next pod is ready.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use pgops_api::opsrequest::{CONDITION_OUTAGE, PostgresOpsRequestStatus};
use pgops_api::outage::{seconds, serving_since};
use pgops_api::{Condition, condition};

/// Records that the server is about to be stopped, unless it is down already.
pub fn begin(status: &mut PostgresOpsRequestStatus, now: Timestamp) {
    if is_running(status) {
        return;
    }
    let message = format!("the server has accepted no writes since {now:.0}");
    // Its time is that of this outage, and not of an earlier one.
    status.conditions.retain(|it| it.type_ != CONDITION_OUTAGE);
    condition::set(
        &mut status.conditions,
        Condition::new(CONDITION_OUTAGE, "True", "WritesStopped", message, Time(now)),
    );
    status.outage = Some(format!("since {now:.0}"));
}

/// Records that a server has been ready since then, if it was stopped before.
pub fn end(status: &mut PostgresOpsRequestStatus, ready_since: Timestamp, now: Timestamp) {
    let Some(outage) = condition::find(&status.conditions, CONDITION_OUTAGE).filter(|it| it.is_true()) else {
        return;
    };
    let began = outage.last_transition_time.0;
    let ended = serving_since(Some(ready_since), now);
    let text = seconds(ended.duration_since(began).max(SignedDuration::ZERO));
    let message = format!("the server accepted no writes for {text}");
    condition::set(
        &mut status.conditions,
        Condition::new(CONDITION_OUTAGE, "False", "WritesAccepted", message, Time(now)),
    );
    status.outage = Some(text);
}

/// Records that the request ends while no server is ready: nothing measures the rest.
pub fn leave(status: &mut PostgresOpsRequestStatus, now: Timestamp) {
    let Some(outage) = condition::find(&status.conditions, CONDITION_OUTAGE).filter(|it| it.is_true()) else {
        return;
    };
    let text = seconds(now.duration_since(outage.last_transition_time.0).max(SignedDuration::ZERO));
    let message = format!(
        "the server had accepted no writes for {text} when the request ended; the condition Ready of the Postgres says how it is"
    );
    condition::set(
        &mut status.conditions,
        Condition::new(CONDITION_OUTAGE, "Unknown", "RequestEnded", message, Time(now)),
    );
    status.outage = Some(format!("over {text}"));
}

fn is_running(status: &PostgresOpsRequestStatus) -> bool {
    condition::find(&status.conditions, CONDITION_OUTAGE).is_some_and(Condition::is_true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn outage_lasts_from_the_first_stop_until_a_pod_is_ready() {
        let mut status = PostgresOpsRequestStatus::default();
        end(&mut status, at(5), at(5));
        assert_eq!(status, PostgresOpsRequestStatus::default());
        begin(&mut status, at(10));
        assert_eq!(status.outage.as_deref(), Some("since 1970-01-01T00:00:10Z"));
        begin(&mut status, at(12));
        end(&mut status, at(16), at(17));
        assert_eq!(status.outage.as_deref(), Some("7.0s"));
        // Nothing was watching.
        begin(&mut status, at(20));
        end(&mut status, at(30), at(90));
        assert_eq!(status.outage.as_deref(), Some("10.5s"));
    }

    #[test]
    fn outage_that_outlasts_its_request_is_not_told_as_one_that_lasts() {
        let mut status = PostgresOpsRequestStatus::default();
        leave(&mut status, at(5));
        assert_eq!(status, PostgresOpsRequestStatus::default());
        begin(&mut status, at(10));
        leave(&mut status, at(12));
        assert_eq!(status.outage.as_deref(), Some("over 2.0s"));
        let told = condition::find(&status.conditions, CONDITION_OUTAGE).unwrap();
        assert_eq!((told.status.as_str(), told.reason.as_deref()), ("Unknown", Some("RequestEnded")));
    }
}
