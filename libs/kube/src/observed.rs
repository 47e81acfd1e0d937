//! What other components report: the kubelet about containers, and all of them in Events.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod, PodCondition};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

/// The status of each container of a pod, those of init containers first.
pub fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

/// The condition of a pod that is ready.
#[must_use]
pub fn ready(pod: &Pod) -> Option<&PodCondition> {
    let mut conditions = pod.status.as_ref()?.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether a container in that state has been started.
#[must_use]
pub fn has_started(state: &ContainerState) -> bool {
    state.running.is_some() || state.terminated.is_some()
}

/// When what an Event reports was last observed: components fill different fields.
#[must_use]
pub fn last_observed(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let times = [
        series.map(|time| time.0),
        event.last_timestamp.as_ref().map(|time| time.0),
        event.event_time.as_ref().map(|time| time.0),
    ];
    times.into_iter().flatten().max().or_else(|| event.creation_timestamp().map(|time| time.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case::repeated(json!({ "lastTimestamp": "2026-11-20T10:00:03Z" }), 3)]
    #[case::once(json!({ "eventTime": "2026-11-20T10:00:02.000000Z" }), 2)]
    #[case::series(
        json!({ "eventTime": "2026-11-20T10:00:02.000000Z",
            "series": { "count": 2, "lastObservedTime": "2026-11-20T10:00:04.000000Z" } }),
        4
    )]
    #[case::of_an_incomplete_component(json!({}), 1)]
    fn event_was_last_observed_at_the_latest_time_that_it_has(#[case] fields: Value, #[case] second: i8) {
        let mut event = json!({
            "metadata": { "creationTimestamp": "2026-11-20T10:00:01Z" }, "involvedObject": {},
        });
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let event: Event = serde_json::from_value(event).unwrap();
        let expected: Timestamp = format!("2026-11-20T10:00:{second:02}Z").parse().unwrap();
        assert_eq!(last_observed(&event), Some(expected));
    }
}
